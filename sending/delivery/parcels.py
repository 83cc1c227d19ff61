"""What goes to the courier and what comes back."""

from datetime import datetime
from typing import NamedTuple, Protocol, Self

from mailpush.mail.letter import Dsn
from mailpush.mail.mx import Route
from mailpush.mail.replies import Reply
from sending.models import Message


class QueuedMessage(NamedTuple):
    """What delivery needs of a message's row."""

    pk: int
    batch_id: int | None
    content_id: int
    recipient: str
    variables: dict[str, str] | None
    attempts: int
    created_at: datetime

    @classmethod
    def of(cls, message: Message) -> Self:
        return cls(*(getattr(message, name) for name in cls._fields))

    @property
    def domain(self) -> str:
        return self.recipient.rpartition("@")[2]


class Mail(NamedTuple):
    """What SMTP needs: only CRLF ends a line of `data`, and its dots are as they are."""

    envelope_from: str
    recipient: str
    data: bytes
    dsn: Dsn | None = None
    smtputf8: bool = False  # the headers need it


class Composer(Protocol):
    """Makes the mails of one content; knows nothing of the database any more."""

    def compose(self, message: QueuedMessage, *, now: datetime) -> Mail: ...


class Parcel(NamedTuple):
    """One message on its way: composed when a connection is free for it, reported exactly once."""

    message: QueuedMessage
    route: Route
    composer: Composer


class Delivery(NamedTuple):
    """How one SMTP conversation ended; without a `reply` no server decided, and `problem` says why.

    `is_about_us`: the server did not let us in at all, so its reply says nothing of the message.
    """

    message_id: int
    reply: Reply | None
    problem: str
    host: str
    tls: bool | None
    seconds: float
    is_about_us: bool = False
