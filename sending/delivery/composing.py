"""From a stored content and a message row to the signed bytes that go over the wire.

What a content's messages have in common is worked out once; per message remain the variables, the
transfer encoding and one signature (an RSA-2048 signature costs more than all the rest).
"""

from collections import OrderedDict
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache
from threading import Lock

from domains import signing
from mailpush.mail import compose
from mailpush.mail.dkim import Signer, body_hash, from_pem
from mailpush.mail.merge import Body
from senders.models import Stream
from sending import bodies, return_path, unsubscribe
from sending.delivery.parcels import Mail, QueuedMessage
from sending.models import AddressType, Content
from templates_app import rendering

KEPT_COMPOSERS = 64  # contents a process keeps compiled; a batch is one
KEPT_SIGNERS = 1000


class ContentComposer:
    """Builds the mails of one content. Reads the database only when it is made."""

    def __init__(self, content: Content) -> None:
        self._sender = content.sender.address
        self._domain = content.sender.domain.name
        self._signer = _signer(self._domain, *signing.active_key(content.sender.domain))
        self._is_random = content.address_type == AddressType.RANDOM
        # Headers, body, and the body's hash for the signature.
        self._parts: Callable[[QueuedMessage], tuple[bytes, bytes, bytes]]
        if content.kind == Content.Kind.MIME:
            headers, body = _split(bodies.load(content))
            submitted = headers, body, body_hash(body)
            self._parts = lambda _message: submitted
        else:
            self._compile(content)
            self._parts = self._merged

    def compose(self, message: QueuedMessage, *, now: datetime) -> Mail:
        """Return the finished mail of one message."""
        headers, body, known_hash = self._parts(message)
        signature = self._signer.sign(headers, body, now=int(now.timestamp()), known_body_hash=known_hash)
        sender = self._sender
        if self._is_random:
            sender = return_path.envelope_sender(message.pk, domain=self._domain, now=now)
        return Mail(sender, message.recipient, b"%b%b\r\n%b" % (signature, headers, body))

    def _compile(self, content: Content) -> None:
        self._subject = rendering.compile(content.subject, escape=False)
        html = rendering.compile(content.html, escape=True) if content.html else None
        self._body = Body(rendering.compile(content.text, escape=False), html)
        self._fixed = compose.address_header("From", content.sender_name, self._sender)
        if content.reply_to:
            self._fixed += compose.address_header("Reply-To", "", content.reply_to)
        self._fixed += compose.header("MIME-Version", "1.0") + self._body.headers
        self._may_unsubscribe = content.stream == Stream.BATCH

    def _merged(self, message: QueuedMessage) -> tuple[bytes, bytes, bytes]:
        values = {"EAddr": message.recipient, **(message.variables or {})}
        message_id = return_path.message_id_header(message.pk, domain=self._domain, created_at=message.created_at)
        headers = [
            self._fixed,
            compose.address_header("To", "", message.recipient),
            compose.header("Subject", rendering.one_line(self._subject.render(values))),
            b"Date: %b\r\n" % compose.message_date(message.created_at.timestamp()),
            compose.header("Message-ID", message_id),
        ]
        if self._may_unsubscribe:
            link = unsubscribe.link(message.pk, today=message.created_at.date())
            headers.append(b"List-Unsubscribe: <%b>\r\n" % link.encode())
            headers.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")  # RFC 8058
        return b"".join(headers), *self._body.render(values)


@lru_cache(maxsize=KEPT_SIGNERS)
def _signer(domain: str, selector: str, pem: bytes) -> Signer:
    """Load a key once: reading and checking an RSA key costs more than many signatures."""
    return Signer(domain, selector, from_pem(pem))


def _split(mime: bytes) -> tuple[bytes, bytes]:
    headers, _, body = mime.partition(b"\r\n\r\n")
    return headers + b"\r\n", body


class Composers:
    """The composers of the contents that were sent last, kept across chunks."""

    def __init__(self) -> None:
        self._kept: OrderedDict[int, ContentComposer] = OrderedDict()
        self._lock = Lock()

    def of(self, content_ids: set[int]) -> dict[int, ContentComposer]:
        """Return a composer for each content, reading from the database those that are not at hand."""
        with self._lock:
            found = {pk: self._kept[pk] for pk in content_ids if pk in self._kept}
        missing = content_ids - found.keys()
        for content in Content.objects.filter(pk__in=missing).select_related("sender__domain"):
            found[content.pk] = ContentComposer(content)
        with self._lock:
            for pk, composer in found.items():
                self._kept[pk] = composer
                self._kept.move_to_end(pk)
            while len(self._kept) > KEPT_COMPOSERS:
                self._kept.popitem(last=False)
        return found
