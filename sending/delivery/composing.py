"""From a stored content and a message row to the signed bytes that go over the wire.

What a content's messages have in common is worked out once; per message remain the variables, the
transfer encoding and one signature (an RSA-2048 signature costs more than all the rest).
"""

import logging
from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db import DatabaseError

from domains import signing
from mailpush.mail import compose
from mailpush.mail.dkim import CanonicalFields, Signer, body_hash, canonical_headers, from_pem
from mailpush.mail.letter import check_lines
from mailpush.mail.merge import Body
from sending import bodies, return_path, unsubscribe
from sending.delivery.parcels import Composer, Mail, QueuedMessage
from sending.models import AddressType, Content
from templates_app import rendering

log = logging.getLogger(__name__)

KEPT_COMPOSERS = 64  # contents a process keeps compiled; a batch is one
KEPT_SIGNERS = 1000


class Parts(NamedTuple):
    """A mail before it is signed: headers, as they are sent and as they are hashed, and the body with its hash."""

    headers: bytes
    fields: CanonicalFields
    body: bytes
    body_hash: bytes


class ContentComposer:
    """Builds the mails of one content. Reads the database only when it is made."""

    def __init__(self, content: Content) -> None:
        self._sender = content.sender.address
        self._domain = content.sender.domain.name
        self._signer = _signer(self._domain, *signing.active_key(content.sender.domain))
        self._is_random = content.address_type == AddressType.RANDOM
        self._parts: Callable[[QueuedMessage], Parts]
        if content.kind == Content.Kind.MIME:
            submitted = _submitted(bodies.load(content))
            self._may_unsubscribe = unsubscribe.is_offered(content, submitted.headers)
            self._parts = lambda message: self._with_link(submitted, message)
        else:
            self._may_unsubscribe = unsubscribe.is_offered(content)
            self._compile(content)
            self._parts = self._merged

    def compose(self, message: QueuedMessage, *, now: datetime) -> Mail:
        """Return the finished mail of one message."""
        headers, fields, body, body_hash = self._parts(message)
        signature = self._signer.sign_canonical(fields, body_hash, now=int(now.timestamp()))
        trace = return_path.trace(message.pk, now=now)
        sender = return_path.envelope_sender(trace, domain=self._domain) if self._is_random else self._sender
        data = b"%b%b%b\r\n%b" % (return_path.trace_field(trace), signature, headers, body)
        wishes = return_path.wishes(trace, message.recipient)
        return Mail(sender, message.recipient, data, wishes, smtputf8=not headers.isascii())

    def _compile(self, content: Content) -> None:
        self._subject = rendering.compile(content.subject, escape=False)
        html = rendering.compile(content.html, escape=True) if content.html else None
        self._body = Body(rendering.compile(content.text, escape=False), html)
        self._fixed = compose.address_header("From", content.sender_name, self._sender)
        if content.reply_to:
            self._fixed += compose.address_header("Reply-To", "", content.reply_to)
        self._fixed += compose.header("MIME-Version", "1.0") + self._body.headers
        self._fixed_fields = canonical_headers(self._fixed)

    def _merged(self, message: QueuedMessage) -> Parts:
        values = {"EAddr": message.recipient, **(message.variables or {})}
        message_id = return_path.message_id_header(message.pk, domain=self._domain, created_at=message.created_at)
        own = [
            compose.address_header("To", "", message.recipient),
            compose.header("Subject", rendering.one_line(self._subject.render(values))),
            b"Date: %b\r\n" % compose.message_date(message.created_at.timestamp()),
            compose.header("Message-ID", message_id),
        ]
        if self._may_unsubscribe:
            own.append(self._unsubscribe_fields(message))
        headers = b"".join(own)
        fields = canonical_headers(headers).above(self._fixed_fields)
        return Parts(headers + self._fixed, fields, *self._body.render(values))

    def _with_link(self, submitted: Parts, message: QueuedMessage) -> Parts:
        if not self._may_unsubscribe:
            return submitted
        own = self._unsubscribe_fields(message)
        fields = canonical_headers(own).above(submitted.fields)
        return submitted._replace(headers=own + submitted.headers, fields=fields)

    def _unsubscribe_fields(self, message: QueuedMessage) -> bytes:
        return unsubscribe.header_fields(message.pk, domain=self._domain, today=message.created_at.date())


@lru_cache(maxsize=KEPT_SIGNERS)
def _signer(domain: str, selector: str, pem: bytes) -> Signer:
    """Load a key once: reading and checking an RSA key costs more than many signatures."""
    return Signer(domain, selector, from_pem(pem))


def _submitted(mime: bytes) -> Parts:
    """Return a submitted message, which is the same for all its recipients.

    :raises ValueError: it has a bare CR or LF.
    """
    check_lines(mime)
    headers, _, body = mime.partition(b"\r\n\r\n")
    headers += b"\r\n"
    return Parts(headers, canonical_headers(headers), body, body_hash(body))


class Broken:
    """Stands for a content that cannot be composed: its key or its stored text is missing."""

    def __init__(self, problem: Exception) -> None:
        self._problem = problem

    def compose(self, message: QueuedMessage, *, now: datetime) -> Mail:  # noqa: ARG002 - as every composer
        raise self._problem


class Composers:
    """The composers of the contents that were sent last, kept across chunks."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, ContentComposer] = OrderedDict()

    def of(self, content_ids: set[int]) -> dict[int, Composer]:
        """Return a composer for each content, reading from the database those that are not at hand."""
        found: dict[int, Composer] = {pk: self._kept[pk] for pk in content_ids if pk in self._kept}
        missing = content_ids - found.keys()
        for content in Content.objects.filter(pk__in=missing).select_related("sender__domain"):
            found[content.pk] = _composer(content)
        for pk, composer in found.items():
            if isinstance(composer, ContentComposer):
                self._kept[pk] = composer
                self._kept.move_to_end(pk)
        while len(self._kept) > KEPT_COMPOSERS:
            self._kept.popitem(last=False)
        return found


def _composer(content: Content) -> Composer:
    """Return the content's composer; one broken content must not hold up the others."""
    try:
        return ContentComposer(content)
    except DatabaseError:
        raise  # asked again, like every question
    except Exception as problem:
        log.exception("Content %s cannot be composed", content.pk)
        return Broken(problem)
