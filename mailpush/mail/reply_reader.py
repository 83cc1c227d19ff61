"""Turns the bytes a mail server sends into replies (RFC 5321 section 4.2), within bounds.

Forgiving where servers are known to differ (bare LF, no text, codes that change inside one reply), strict where
going on would put us out of step with the server.
"""

from functools import lru_cache

from mailpush.mail.replies import Reply

MAX_LINE = 4096  # RFC 5321 section 4.5.3.1.5 says 512; Exchange and Google write longer ones
MAX_LINES = 200  # no EHLO answer comes near


class ReplyBroken(Exception):
    """The peer sent what no mail server would."""


class ReplyReader:
    """Collects lines until a reply is whole; bytes are fed in any slices."""

    def __init__(self) -> None:
        self._rest = b""
        self._lines: list[str] = []

    @property
    def is_clean(self) -> bool:
        """Tell whether nothing is left over from the last reply."""
        return not self._rest and not self._lines

    def feed(self, received: bytes) -> list[Reply]:
        """Return the replies these bytes complete.

        :raises ReplyBroken: the bytes are no SMTP reply, or too long for one.
        """
        *lines, rest = (self._rest + received).split(b"\n")
        if len(rest) > MAX_LINE:
            raise ReplyBroken("The server sent a line that does not end.")
        self._rest = rest
        return [reply for line in lines if (reply := self._take(line)) is not None]

    def _take(self, line: bytes) -> Reply | None:
        goes_on, reply = _read(line)
        if not goes_on and not self._lines:
            return reply
        self._lines.append(reply.text)
        if goes_on:
            if len(self._lines) >= MAX_LINES:
                raise ReplyBroken("The server sent a reply that does not end.")
            return None
        reply = Reply(reply.code, "\n".join(self._lines))
        self._lines = []
        return reply


@lru_cache(maxsize=256)  # most replies of a server are the same ones
def _read(line: bytes) -> tuple[bool, Reply]:
    """Return whether the reply goes on after this line, and what the line says.

    :raises ReplyBroken: it is none of a reply.
    """
    code, mark, text = line[:3], line[3:4], line[4:].rstrip(b"\r")
    is_code = len(code) == 3 and code.isdigit() and b"2" <= code[:1] <= b"5"  # noqa: PLR2004 three digits
    if not is_code or mark not in (b" ", b"-", b"", b"\r") or len(line) > MAX_LINE:
        raise ReplyBroken(f"The server sent {line[:80]!r}, which is no SMTP reply.")
    return mark == b"-", Reply(int(code), _printable(text.decode("utf-8", "replace")))


def _printable(text: str) -> str:
    """Replace control characters: replies are stored, logged and shown, and PostgreSQL takes no NUL."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else "\ufffd" for char in text)
