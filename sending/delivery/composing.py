"""From a stored content and a message row to the signed bytes that go over the wire.

What a content's messages have in common is worked out once; per message remain the variables, the
transfer encoding and one signature (an RSA-2048 signature costs more than all the rest).
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from threading import Lock

from domains import signing
from mailpush.mail import compose
from mailpush.mail.dkim import Signer, from_pem
from senders.models import Stream
from sending import bodies, return_path, unsubscribe
from sending.models import AddressType, Content, Message
from templates_app import rendering

KEPT_COMPOSERS = 64  # contents a process keeps compiled; a batch is one
KEPT_SIGNERS = 1000
BOUNDARY = "=_mailpush"  # cannot occur in base64 or quoted-printable text


@dataclass(frozen=True, slots=True)
class Mail:
    """What SMTP needs: `data` has CRLF line ends and no dot-stuffing."""

    envelope_from: str
    recipient: str
    data: bytes


class Composer:
    """Builds the mails of one content. Reads the database only when it is made."""

    def __init__(self, content: Content) -> None:
        self.sender = content.sender
        self.domain = content.sender.domain.name
        self._signer = _signer(self.domain, *signing.active_key(content.sender.domain))
        self.random_address = content.address_type == AddressType.RANDOM
        self._parts: Callable[[Message], tuple[bytes, bytes]]
        if content.kind == Content.Kind.MIME:
            submitted = _split(bodies.load(content))
            self._parts = lambda _message: submitted
        else:
            self._compile(content)
            self._parts = self._composed

    def compose(self, message: Message, *, now: datetime) -> Mail:
        """Return the finished mail of one message."""
        headers, body = self._parts(message)
        headers = self._signer.sign(headers, body, now=int(now.timestamp())) + headers
        sender = self.sender.address
        if self.random_address:
            sender = return_path.envelope_sender(message.pk, domain=self.domain, now=now)
        return Mail(sender, message.recipient, headers + b"\r\n" + body)

    def _compile(self, content: Content) -> None:
        self._subject = rendering.compile(content.subject, escape=False)
        self._html = rendering.compile(content.html, escape=True) if content.html else None
        self._text = rendering.compile(content.text, escape=False)
        self._fixed = compose.address_header("From", content.sender_name, self.sender.address)
        if content.reply_to:
            self._fixed += compose.address_header("Reply-To", "", content.reply_to)
        self._fixed += compose.header("MIME-Version", "1.0")
        self._may_unsubscribe = content.stream == Stream.BATCH

    def _composed(self, message: Message) -> tuple[bytes, bytes]:
        values = {"EAddr": message.recipient, **(message.variables or {})}
        description, body = compose.alternative(
            self._text.render(values), self._html.render(values) if self._html else None, boundary=BOUNDARY
        )
        message_id = return_path.message_id_header(message.pk, domain=self.domain, created_at=message.created_at)
        headers = [
            self._fixed,
            compose.address_header("To", "", message.recipient),
            compose.header("Subject", rendering.one_line(self._subject.render(values))),
            b"Date: %b\r\n" % compose.message_date(message.created_at.timestamp()),
            compose.header("Message-ID", message_id),
            description,
        ]
        if self._may_unsubscribe:
            link = unsubscribe.link(message.pk, today=message.created_at.date())
            headers.append(b"List-Unsubscribe: <%b>\r\n" % link.encode())
            headers.append(b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n")  # RFC 8058
        return b"".join(headers), body


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
        self._kept: OrderedDict[int, Composer] = OrderedDict()
        self._lock = Lock()

    def of(self, content_ids: set[int]) -> dict[int, Composer]:
        """Return a composer for each content, reading from the database those that are not at hand."""
        with self._lock:
            found = {pk: self._kept[pk] for pk in content_ids if pk in self._kept}
        missing = content_ids - found.keys()
        for content in Content.objects.filter(pk__in=missing).select_related("sender__domain"):
            found[content.pk] = Composer(content)
        with self._lock:
            for pk, composer in found.items():
                self._kept[pk] = composer
                self._kept.move_to_end(pk)
            while len(self._kept) > KEPT_COMPOSERS:
                self._kept.popitem(last=False)
        return found
