"""The client's side of an SMTP conversation: a command out, a reply back, and how that fails.

Whatever goes wrong on the network is `ConnectFailed` before the first message and `ConnectionLost` after it.
"""

from collections import deque
from dataclasses import dataclass

from mailpush.mail.replies import Reply
from mailpush.mail.reply_reader import ReplyBroken, ReplyReader
from mailpush.mail.wire import PeerGone, PeerSlow, Wire


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds to wait for the server; RFC 5321 section 4.5.3.2 where it names them."""

    connect: float = 30
    banner: float = 300
    hello: float = 300
    tls: float = 60
    login: float = 300
    mail: float = 300
    rcpt: float = 300
    data: float = 120
    block: float = 180
    end_of_data: float = 600
    reset: float = 60
    quit: float = 5


class ConnectFailed(Exception):
    """The server could not be reached or did not let us in; no message was offered."""

    def __init__(self, stage: str, reason: str, reply: Reply | None = None) -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = stage
        self.reply = reply


class TlsFailed(ConnectFailed):
    """TLS was offered or demanded and did not come about; a policy may allow another try without."""


class LoginRefused(ConnectFailed):
    """The relay did not take our name and password, or may not be trusted with them."""


class ConnectionLost(Exception):
    """The connection broke or the server left the protocol.

    `during_data` is true exactly when the end of the message may have reached the server but its answer did not
    reach us: the message may or may not be delivered.
    """

    def __init__(self, stage: str, *, during_data: bool, reason: str = "the server closed the connection") -> None:
        super().__init__(f"{stage}: {reason}")
        self.stage = str(stage)
        self.reason = reason
        self.during_data = during_data


class Dialog:
    """Commands and replies over one wire."""

    def __init__(self, wire: Wire, timeouts: Timeouts) -> None:
        self.wire = wire
        self.timeouts = timeouts
        self._reader = ReplyReader()
        self._replies: deque[Reply] = deque()

    @property
    def is_idle(self) -> bool:
        """Tell whether the line is up and the server has said nothing unasked (as 421 before it leaves)."""
        is_silent = not (self.wire.received or self._replies) and self._reader.is_clean
        return is_silent and not self.wire.is_ended

    def forget(self) -> None:
        """Drop what the server has said and nobody has read."""
        self._reader = ReplyReader()
        self._replies.clear()
        self.wire.received.clear()

    async def command(self, line: str, stage: str, seconds: float) -> Reply:
        self.wire.write(f"{line}\r\n".encode())
        return await self.reply(stage, seconds)

    def at_hand(self) -> Reply | None:
        """Return the server's next reply, where it is here already."""
        return self._replies.popleft() if self._replies else None

    async def reply(self, stage: str, seconds: float, *, in_doubt: bool = False, goes_on: bool = False) -> Reply:
        """Return the server's next reply.

        :param in_doubt: the end of a message is under way, so that losing the answer leaves us not knowing.
        :param goes_on: more was written behind that end.
        """
        wire = self.wire
        try:
            while not self._replies:
                if wire.received:
                    self._replies.extend(self._reader.feed(bytes(wire.received)))
                    wire.received.clear()
                else:
                    # While a long message is still going out, the time is for its next block (section 4.5.3.2.5).
                    await wire.more(self.timeouts.block if wire.is_unsent else seconds)
        except (PeerGone, ReplyBroken) as error:
            # What has not left us cannot have arrived, where the end is the last thing written.
            in_doubt = in_doubt and (goes_on or not wire.is_unsent)
            wire.abort()
            raise ConnectionLost(stage, during_data=in_doubt, reason=_why(error)) from error
        return self._replies.popleft()


def _why(error: Exception) -> str:
    match error:
        case PeerSlow():
            return "the server did not answer in time"
        case ReplyBroken():
            return str(error)
        case _:
            return "the server closed the connection"
