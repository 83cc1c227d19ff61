"""What goes to the courier and what comes back."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import NamedTuple, Protocol, Self

from mailpush.mail.letter import Letter
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
    created: float  # seconds since 1970

    @classmethod
    def of(cls, message: Message) -> Self:
        return cls(
            message.pk,
            message.batch_id,
            message.content_id,
            message.recipient,
            message.variables,
            message.attempts,
            message.created_at.timestamp(),
        )

    @property
    def created_at(self) -> datetime:
        return datetime.fromtimestamp(self.created, UTC)

    @property
    def domain(self) -> str:
        return self.recipient.rpartition("@")[2]


class Composer(Protocol):
    """Makes the mails of one content; knows nothing of the database any more.

    `source_ips` are dedicated to its sender: the mails leave from one of them; none leaves it to the stream. `size` is
    about that of a mail in bytes.
    """

    source_ips: tuple[str, ...]
    size: int

    def compose(self, messages: Sequence[QueuedMessage], *, now: datetime) -> list[Letter]: ...


@dataclass(slots=True, eq=False)
class Parcel:
    """One message on its way: composed when a connection is about to be free for it, reported exactly once."""

    message: QueuedMessage
    route: Route
    composer: Composer
    letter: Letter | None = None


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
