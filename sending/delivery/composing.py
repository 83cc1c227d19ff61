"""From a stored content and a message row to the signed bytes that go over the wire.

What a content's messages have in common is worked out once; per message remain the variables, the
transfer encoding and one signature (an RSA-2048 signature costs more than all the rest).
"""

import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import NamedTuple

from django.db import DatabaseError

from domains import signing
from mailpush.mail import compose, rewriting
from mailpush.mail.dkim import CanonicalFields, Signer, Unsigned, body_hash, canonical_headers, from_pem
from mailpush.mail.letter import Letter, Seal, check_lines
from mailpush.mail.merge import Body, Head, form
from sending import bodies, return_path, tracking, unsubscribe
from sending.delivery.parcels import Composer, QueuedMessage
from sending.models import AddressType, Content
from templates_app import rendering
from templates_app.rendering import Compiled

log = logging.getLogger(__name__)

KEPT_COMPOSERS = 64  # contents a process keeps compiled; a batch is one
KEPT_SIGNERS = 1000


class Parts(NamedTuple):
    """A mail before it is signed: headers, as they are sent and as they are hashed, and the body with its hash."""

    headers: bytes
    fields: CanonicalFields
    body: bytes
    body_hash: bytes
    may_start_with_dots: bool = False  # its lines may


class Signing:
    """The signatures of mails that were composed together: none is made until a server wants one of the mails."""

    def __init__(self, signer: Signer, begun: Sequence[Unsigned]) -> None:
        self._signer = signer
        self._begun = begun
        self._fields: list[bytes] = []

    def seals(self) -> list["Signature"]:
        return [Signature(self, place, self._signer.size(each)) for place, each in enumerate(self._begun)]

    def field(self, place: int) -> bytes:
        if not self._fields:
            self._fields = self._signer.finish(self._begun)
        return self._fields[place]


@dataclass(slots=True, eq=False)
class Signature:
    """The DKIM-Signature field of one mail."""

    _signing: Signing
    _place: int
    size: int

    def __call__(self) -> bytes:
        return self._signing.field(self._place)


class ContentComposer:
    """Builds the mails of one content. Reads the database only when it is made."""

    def __init__(self, content: Content) -> None:
        self._sender = content.sender.address
        self._domain = content.sender.domain.name
        self._signer = _signer(self._domain, *signing.active_key(content.sender.domain))
        chosen = content.sender.config_set.pool if content.sender.config_set else None
        self.source_ips = tuple(content.source_ips.split(",") if content.source_ips else chosen.ips if chosen else ())
        self._is_random = content.address_type == AddressType.RANDOM
        self._parts: Callable[[QueuedMessage], Parts]
        if content.kind == Content.Kind.MIME:
            mime = bodies.load(content)
            submitted = _submitted(mime)
            self.size = len(submitted.body)
            self._link = self._link_fields(is_offered=unsubscribe.is_offered(content, submitted.headers))
            tracked = _tracked(content, mime) if content.is_tracked else None
            self._parts = lambda message: self._with_link(tracked(message) if tracked else submitted, message)
        else:
            self._link = self._link_fields(is_offered=unsubscribe.is_offered(content))
            self._compile(content)
            self._parts = self._merged

    def compose(self, messages: Sequence[QueuedMessage], *, now: datetime) -> list[Letter]:
        """Return the mails, which are signed together when one of them is needed.

        :raises ValueError: a recipient or a variable cannot stand in a mail.
        """
        mails = [self._parts(message) for message in messages]
        at = int(now.timestamp())
        signing = Signing(self._signer, [self._signer.begin(mail.fields, mail.body_hash, now=at) for mail in mails])
        return [
            self._letter(message, mail, seal, now)
            for message, mail, seal in zip(messages, mails, signing.seals(), strict=True)
        ]

    def _letter(self, message: QueuedMessage, mail: Parts, seal: Seal, now: datetime) -> Letter:
        trace = return_path.trace(message.pk, now=now)
        return Letter(
            return_path.envelope_sender(trace, domain=self._domain) if self._is_random else self._sender,
            message.recipient,
            b"%b%b\r\n%b" % (return_path.trace_field(trace), mail.headers, mail.body),
            return_path.wishes(trace, message.recipient),
            smtputf8=not mail.headers.isascii(),
            seal=seal,
            has_good_lines=True,
            may_start_with_dots=mail.may_start_with_dots,
        )

    def _compile(self, content: Content) -> None:
        self._subject = rendering.compile(content.subject, escape=False)
        self._is_tracked = content.is_tracked
        self._body = Body(rendering.compile(content.text, escape=False), _html(content) if content.html else None)
        fixed = compose.address_header("From", content.sender_name, self._sender)
        if content.reply_to:
            fixed += compose.address_header("Reply-To", content.reply_to_name, content.reply_to)
        fixed += compose.header("MIME-Version", "1.0") + self._body.headers
        message_id = return_path.message_id_header("%(token)b", domain=self._domain).encode()
        own = b"To: %(to)b\r\nSubject: %(subject)b\r\nDate: %(date)b\r\nMessage-ID: " + message_id + b"\r\n"
        self.size = self._body.size
        self._head = Head(own + self._link + form(fixed))

    def _merged(self, message: QueuedMessage) -> Parts:
        values = {"EAddr": message.recipient, **(message.variables or {})}
        subject = rendering.one_line(self._subject.render(values))
        fields = {
            b"to": compose.address_value("To", message.recipient),
            b"subject": compose.header_value("Subject", subject),
            b"date": compose.message_date(message.created),
            b"token": return_path.message_id_token(message.pk, created_on=message.created_at.date()).encode(),
        }
        if self._link:
            fields[b"link"] = _link_token(message)
        if self._is_tracked:
            values[tracking.SLOT] = _tracking_token(message)
        return Parts(*self._head.render(fields), *self._body.render(values))

    def _with_link(self, submitted: Parts, message: QueuedMessage) -> Parts:
        if not self._link:
            return submitted
        own, fields = Head(self._link).render({b"link": _link_token(message)})
        return submitted._replace(headers=own + submitted.headers, fields=fields.above(submitted.fields))

    def _link_fields(self, *, is_offered: bool) -> bytes:
        """Return the fields for unsubscribing, as a form; empty where they are not offered."""
        fields = unsubscribe.header_fields("%(link)b", domain=self._domain) if is_offered else b""
        return form(fields, b"link")


def _link_token(message: QueuedMessage) -> bytes:
    return unsubscribe.token_of(message.pk, today=message.created_at.date()).encode()


def _tracking_token(message: QueuedMessage) -> str:
    return tracking.token_of(message.pk, today=message.created_at.date())


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
    return Parts(headers, canonical_headers(headers), body, body_hash(body), may_start_with_dots=True)


def _html(content: Content) -> Compiled:
    if content.is_tracked:
        base = tracking.base_url(content.sender.domain)
        return tracking.compiled(content.html, content_id=content.pk, base=base)
    return rendering.compile(content.html, escape=True)


def _tracked(content: Content, mime: bytes) -> Callable[[QueuedMessage], Parts] | None:
    """Return what makes each recipient's own of a submitted message; None where nothing in it can be tracked."""
    base = tracking.base_url(content.sender.domain)
    whole = rewriting.rewritten(
        mime, lambda html: tracking.marked(html, content_id=content.pk, base=base, read=tracking.plain_target)
    )
    return (lambda message: _submitted(whole.render(_tracking_token(message)))) if whole else None


class Broken:
    """Stands for a content that cannot be composed: its key or its stored text is missing."""

    source_ips: tuple[str, ...] = ()
    size = 0

    def __init__(self, problem: Exception) -> None:
        self._problem = problem

    def compose(self, messages: Sequence[QueuedMessage], *, now: datetime) -> list[Letter]:  # noqa: ARG002 - as all do
        raise self._problem


class Composers:
    """The composers of the contents that were sent last, kept across chunks."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, ContentComposer] = OrderedDict()

    def of(self, content_ids: set[int]) -> dict[int, Composer]:
        """Return a composer for each content, reading from the database those that are not at hand."""
        found: dict[int, Composer] = {pk: self._kept[pk] for pk in content_ids if pk in self._kept}
        missing = content_ids - found.keys()
        rows = Content.objects.filter(pk__in=missing)
        for content in rows.select_related("sender__domain", "sender__config_set__pool"):
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
