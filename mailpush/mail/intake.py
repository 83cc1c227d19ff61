"""What comes in at an SMTP server, read within limits: command lines, messages up to their dot, chunks.

Only CRLF ends a line and only CRLF.CRLF a message: whoever reads lines more loosely than the next server lets
strangers smuggle messages between the two.
"""

import asyncio

from mailpush.mail.door import Limits
from mailpush.mail.envelope import BadCommand
from mailpush.mail.replies import SHUTTING_DOWN, Reply
from mailpush.mail.wire import PeerSlow, Wire

END_OF_DATA = b"\r\n.\r\n"


class Farewell(Exception):
    """The conversation is over; `reply` is the last word."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, text)


class Intake:
    """Reads from one client, and sends the answers that have gathered before it waits."""

    def __init__(self, wire: Wire, limits: Limits) -> None:
        self._wire = wire
        self._limits = limits
        self._now = asyncio.get_running_loop().time
        self._answers: list[bytes] = []
        self._is_idle = False
        self._is_leaving = False

    def say(self, reply: Reply) -> None:
        """Answer; it leaves with the next flush."""
        self._answers.append(reply.encode())

    def flush(self) -> None:
        if self._answers:
            self._wire.write(b"".join(self._answers))
            self._answers.clear()

    def leave(self) -> None:
        """End with `Farewell` as soon as the client is idle."""
        self._is_leaving = True
        if self._is_idle:
            self._wire.interrupt(_leaving())

    async def line(self, limit: int, *, is_idle: bool = False) -> str:
        """Return the next line without its end.

        :param is_idle: nothing is under way, so that the conversation may end here.

        :raises BadCommand: it is too long, does not end in CRLF, or is no text.
        """
        buffer = self._wire.received
        deadline = self._now() + self._limits.idle_seconds
        is_too_long = False
        while (end := buffer.find(b"\n")) < 0:
            if len(buffer) > max(limit, self._limits.auth_line):
                is_too_long = True
                buffer.clear()
            self._is_idle = is_idle
            try:
                await self._more(deadline)
            finally:
                self._is_idle = False
        line = bytes(buffer[: end + 1])
        del buffer[: end + 1]
        if is_too_long or len(line) > (self._limits.auth_line if line[:5].upper() == b"AUTH " else limit):
            raise BadCommand(500, "5.5.6 The line is too long")
        return _text(line)

    async def _more(self, deadline: float) -> None:
        """Send what we have to say, then wait for the client."""
        self.flush()
        if self._is_leaving and self._is_idle:
            raise _leaving()
        known = len(self._wire.received)
        await self._wire.sent(self._limits.idle_seconds)
        if len(self._wire.received) > known:  # it spoke while it was slow to listen
            return
        seconds = deadline - self._now()
        if seconds <= 0:
            raise PeerSlow
        await self._wire.more(seconds)

    async def read_to_dot(self) -> bytes | None:
        """Return the message up to its final dot, dots as they were written; None where it was too big to keep."""
        buffer = self._wire.received
        # Doubled dots may add a third; what counts is the size without them.
        most = self._limits.message_size * 4 // 3 + len(END_OF_DATA)
        buffer[:0] = b"\r\n"  # the end of the DATA line counts: a first line with a dot alone is the end
        deadline = self._now() + self._limits.data_seconds
        searched, is_kept = 0, True
        while (end := buffer.find(END_OF_DATA, searched)) < 0:
            if len(buffer) > most:
                is_kept = False
            if not is_kept:
                del buffer[: -len(END_OF_DATA)]
            searched = max(0, len(buffer) - len(END_OF_DATA) + 1)
            await self._more_data(deadline)
        content = bytes(buffer[: end + 2]) if is_kept else b""
        del buffer[: end + len(END_OF_DATA)]
        return content.replace(b"\r\n.", b"\r\n")[2:] if is_kept else None

    async def take(self, size: int) -> bytes:
        """Return exactly so many bytes."""
        buffer = self._wire.received
        deadline = self._now() + self._limits.data_seconds
        while len(buffer) < size:
            await self._more_data(deadline)
        taken = bytes(buffer[:size])
        del buffer[:size]
        return taken

    async def skip(self, size: int) -> None:
        """Read so many bytes and forget them."""
        buffer = self._wire.received
        deadline = self._now() + self._limits.data_seconds
        while len(buffer) < size:
            size -= len(buffer)
            buffer.clear()
            await self._more_data(deadline)
        del buffer[:size]

    async def _more_data(self, deadline: float) -> None:
        await self._more(min(deadline, self._now() + self._limits.block_seconds))


def _leaving() -> Farewell:
    return Farewell(SHUTTING_DOWN, "4.3.2 This server is going down; connect again in a moment")


def _text(line: bytes) -> str:
    """Return a line as text, without its end."""
    try:
        text = line[:-2].decode()
    except UnicodeDecodeError:
        raise BadCommand(500, "5.5.2 The command is not UTF-8 text") from None
    if line[-2:] != b"\r\n" or not text.isprintable():
        raise BadCommand(500, "5.5.2 End each command with CRLF and use no control characters")
    return text
