"""One conversation of a server: bytes in, answers out, with as little in between as can be.

RFC 5321 with PIPELINING, SIZE, 8BITMIME and SMTPUTF8. Answers to what came in one packet leave in one.
"""

import asyncio
from collections.abc import Callable
from typing import cast

from mailpush.runtime.smartsink.books import Books
from mailpush.runtime.smartsink.fates import OK, TAKEN, WORDS, Answer, Fate, Judge, Stage, said
from mailpush.runtime.smartsink.servers import Manner, Server

GREETING = Answer(b"220 mx.example ESMTP\r\n")
EXTENSIONS = (b"PIPELINING", b"SIZE 35882577", b"8BITMIME", b"SMTPUTF8")
EHLO = Answer(b"".join(b"250-%b\r\n" % each for each in (b"mx.example", *EXTENSIONS)) + b"250 ENHANCEDSTATUSCODES\r\n")
GO_AHEAD = Answer(b"354 End with a dot\r\n")
BYE = Answer(b"221 2.0.0 Bye\r\n", is_last=True)
TOO_MANY = Answer(b"421 4.7.0 Too many connections, try again later\r\n", is_last=True)
ENOUGH = Answer(b"421 4.7.0 Too many messages over this connection\r\n", is_last=True)
OUT_OF_ORDER = Answer(b"503 5.5.1 Bad sequence of commands\r\n")
UNKNOWN = Answer(b"500 5.5.2 What?\r\n")
SIMPLE = {b"EHLO": EHLO, b"HELO": OK, b"RSET": OK, b"NOOP": OK, b"QUIT": BYE}
END = b"\r\n.\r\n"
GREYLISTED_TIMES = 2


class House:
    """A server and everyone who is in it."""

    def __init__(self, server: Server, books: Books | None) -> None:
        self.server = server
        self.books = books
        self.mails = 0
        self.inside: set[Talk] = set()
        self.judge = Judge({**WORDS, **server.words})
        self._seen: dict[str, int] = {}

    def greet(self) -> Answer | None:
        """Return the greeting; None for silence."""
        if self.server.manner is Manner.SILENT:
            return None
        is_full = self.server.connections and len(self.inside) > self.server.connections
        return TOO_MANY if is_full or self.server.manner is Manner.BUSY else GREETING

    def rcpt(self, recipient: str) -> Answer:
        if self.server.manner is Manner.GREYLISTING and self._is_new(recipient):
            return said(self.judge.words[Fate.LATER])
        return self.judge.at(Stage.RCPT, recipient) or OK

    def _is_new(self, recipient: str) -> bool:
        self._seen[recipient] = self._seen.get(recipient, 0) + 1
        return self._seen[recipient] <= GREYLISTED_TIMES


class Talk(asyncio.Protocol):
    """A connection that someone made to a server."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._loop = asyncio.get_running_loop()
        self._received = bytearray()
        self._searched = 0  # bytes of the content without its end
        self._is_content = False
        self._is_held = False  # an answer is due that later commands must wait for
        self._is_over = False
        self._mails = 0
        self._recipients: list[str] = []
        self._out: list[bytes] = []
        self._transport: asyncio.Transport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._house.inside.add(self)
        greeting = self._house.greet()
        if greeting is None:
            self._is_held = True
            return
        self._say(greeting)
        self._flush()

    def connection_lost(self, _error: Exception | None) -> None:
        self._is_over = True
        self._house.inside.discard(self)

    def data_received(self, octets: bytes) -> None:
        self._received += octets
        if not self._is_held:
            self._go_on()

    def _go_on(self) -> None:
        while not (self._is_held or self._is_over) and (self._content() if self._is_content else self._command()):
            pass
        self._flush()

    # Commands

    def _command(self) -> bool:
        """Answer the next command; return whether there was one."""
        end = self._received.find(b"\n")
        if end < 0:
            return False
        line = bytes(self._received[: end + 1]).strip()
        del self._received[: end + 1]
        self._say(self._answer(line))
        return True

    def _answer(self, line: bytes) -> Answer:
        match line[:4].upper():
            case b"MAIL":
                limit = self._house.server.mails_per_connection
                self._recipients = []
                return ENOUGH if limit and self._mails >= limit else OK
            case b"RCPT":
                return self._rcpt(line)
            case b"DATA":
                return self._data()
        return SIMPLE.get(line[:4].upper(), UNKNOWN)

    def _rcpt(self, line: bytes) -> Answer:
        recipient = line.partition(b"<")[2].partition(b">")[0].decode(errors="replace")
        answer = self._house.rcpt(recipient)
        if answer is OK:
            self._recipients.append(recipient)
        return answer

    def _data(self) -> Answer:
        if not self._recipients:
            return OUT_OF_ORDER
        self._is_content, self._searched = True, 0
        self._received[:0] = b"\r\n"  # so that a dot on the first line ends it, too
        return GO_AHEAD

    # Content

    def _content(self) -> bool:
        """Take the content as far as it has come; return whether that was all of it."""
        end = self._received.find(END, self._searched)
        judge, recipient = self._house.judge, self._recipients[0]
        if end < 0:
            self._searched = max(len(self._received) - len(END), 0)
            if self._searched and (broken := judge.at(Stage.WITHIN_DATA, recipient)):
                self._say(broken)
            return False
        content = bytes(self._received[2:end])
        del self._received[: end + len(END)]
        self._is_content = False
        self._mails += 1
        answer = judge.at(Stage.WITHIN_DATA, recipient) or judge.at(Stage.END, recipient) or TAKEN
        if answer.words != TAKEN.words:
            self._say(answer)
        else:
            self._is_held = True
            self._take(content, answer)
        return True

    def _take(self, content: bytes, answer: Answer) -> None:
        def taken() -> None:
            self._house.mails += len(self._recipients)
            self._say(answer._replace(after=0.0))
            self._is_held = False

        def taken_later() -> None:
            taken()
            self._go_on()

        books, recipients = self._house.books, self._recipients
        if books is None and not answer.after:
            taken()
        elif books is None:
            self._loop.call_later(answer.after, taken_later)
        else:
            self._after(answer.after, lambda: books.enter(content, recipients, taken_later))

    def _after(self, seconds: float, deed: Callable[[], None]) -> None:
        if seconds:
            self._loop.call_later(seconds, deed)
        else:
            deed()

    # Answers

    def _say(self, answer: Answer) -> None:
        self._out.append(answer.words)
        self._is_over |= answer.is_last

    def _flush(self) -> None:
        octets, self._out = b"".join(self._out), []
        self._after(self._house.server.round_trip if octets else 0.0, lambda: self._send(octets, is_last=self._is_over))

    def _send(self, octets: bytes, *, is_last: bool) -> None:
        if octets:
            self._transport.write(octets)
        if is_last and octets:
            self._transport.close()
        elif is_last:
            self._transport.abort()
