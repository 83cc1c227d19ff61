"""A load of SMTP submissions: clients that log in once and send one mail after the other, commands pipelined."""

import asyncio
import base64
import time
from collections.abc import Iterator
from dataclasses import dataclass

SUBMITTED = b"MAIL FROM:<%b>\r\nRCPT TO:<%b>\r\nDATA\r\n"


class Refused(Exception):
    """The server did not take a command."""


@dataclass(frozen=True, slots=True)
class Load:
    """What is sent, by whom, to which server; without a password nobody logs in."""

    host: str
    port: int
    sender: str
    password: str
    message: bytes  # CRLF line ends, no line begins with a dot


async def submit(load: Load, *, messages: int, clients: int) -> tuple[float, list[float]]:
    """Send through so many connections at a time; return seconds in all, and those each message waited for its 250."""
    numbers = iter(range(messages))
    waits: list[float] = []
    lines = [await log_in(load.host, load.port, user=load.sender, password=load.password) for _ in range(clients)]
    begun = time.perf_counter()
    try:
        await asyncio.gather(*(_send(load, line, numbers, waits) for line in lines))
        return time.perf_counter() - begun, waits
    finally:
        for line in lines:
            line.writer.close()


@dataclass(frozen=True, slots=True)
class Line:
    """One connection."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    async def expect(self, code: bytes) -> bytes:
        """Read one reply, however many lines it has, and return the last.

        :raises Refused: it has another code.
        """
        while (line := await self.reader.readuntil(b"\r\n"))[3:4] == b"-":
            pass
        if not line.startswith(code):
            raise Refused(line.decode(errors="replace").strip())
        return line

    async def ask(self, command: bytes, code: bytes) -> bytes:
        self.writer.write(command + b"\r\n")
        return await self.expect(code)


async def log_in(host: str, port: int, *, user: str, password: str) -> Line:
    """Connect and greet; without a password nobody logs in."""
    line = Line(*await asyncio.open_connection(host, port))
    await line.expect(b"220")
    await line.ask(b"EHLO load.example", b"250")
    if password:
        proof = base64.b64encode(f"\0{user}\0{password}".encode())
        await line.ask(b"AUTH PLAIN " + proof, b"235")
    return line


async def _send(load: Load, line: Line, numbers: Iterator[int], waits: list[float]) -> None:
    sender = load.sender.encode()
    for number in numbers:
        begun = time.perf_counter()
        line.writer.write(SUBMITTED % (sender, b"reader-%d@north.example" % number))
        for code in (b"250", b"250", b"354"):
            await line.expect(code)
        line.writer.write(load.message + b".\r\n")
        await line.expect(b"250")
        waits.append(time.perf_counter() - begun)
