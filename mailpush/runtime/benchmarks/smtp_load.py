"""A load of SMTP submissions: clients that log in once and send one mail after the other, commands pipelined.

As a program it is a load in a process of its own: `python -m mailpush.runtime.benchmarks.smtp_load LOAD-AS-JSON`.
"""

import asyncio
import base64
import json
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import cast

import uvloop

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
    message: str  # ASCII, CRLF line ends, no line begins with a dot; each one gets a Message-ID of its own
    messages: int
    clients: int
    name: str  # no two loads of a run have the same, so neither have their Message-IDs


@dataclass(frozen=True, slots=True)
class Answered:
    """How long the load took, and how long each message waited for its 250; in seconds."""

    seconds: float
    waits: list[float]


def apply(load: Load) -> Answered:
    """Have a process of its own send the load.

    :raises Refused: the server did not take a command.
    """
    command = [sys.executable, "-m", "mailpush.runtime.benchmarks.smtp_load", json.dumps(asdict(load))]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 ourselves
    if done.returncode:
        raise Refused(done.stderr.strip().rpartition("\n")[2])
    return Answered(**json.loads(done.stdout))


class Line(asyncio.Protocol):
    """One connection; a protocol rather than streams, so that the load costs little beside what it measures."""

    def __init__(self) -> None:
        self._buffer = b""
        self._replies: deque[bytes] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self._is_lost = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass

    def data_received(self, data: bytes) -> None:
        *lines, self._buffer = (self._buffer + data).split(b"\r\n")
        self._replies.extend(line for line in lines if line[3:4] != b"-")
        self._wake()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's signature
        self._is_lost = True
        self._wake()

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    def write(self, octets: bytes) -> None:
        self._transport.write(octets)

    def close(self) -> None:
        self._transport.close()

    async def expect(self, code: bytes) -> bytes:
        """Read one reply and return its last line.

        :raises Refused: it has another code.
        :raises EOFError: the connection has ended.
        """
        while not self._replies:
            if self._is_lost:
                raise EOFError
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        reply = self._replies.popleft()
        if not reply.startswith(code):
            raise Refused(reply.decode(errors="replace"))
        return reply

    async def ask(self, command: bytes, code: bytes) -> bytes:
        self.write(command + b"\r\n")
        return await self.expect(code)


async def log_in(host: str, port: int, *, user: str, password: str) -> Line:
    """Connect and greet; without a password nobody logs in."""
    _, line = await asyncio.get_running_loop().create_connection(Line, host, port)
    await line.expect(b"220")
    await line.ask(b"EHLO load.example", b"250")
    if password:
        proof = base64.b64encode(f"\0{user}\0{password}".encode())
        await line.ask(b"AUTH PLAIN " + proof, b"235")
    return line


async def _submit(load: Load) -> Answered:
    numbers = iter(range(load.messages))
    waits: list[float] = []
    lines = [await log_in(load.host, load.port, user=load.sender, password=load.password) for _ in range(load.clients)]
    begun = time.perf_counter()
    try:
        await asyncio.gather(*(_send(load, line, numbers, waits) for line in lines))
        return Answered(time.perf_counter() - begun, waits)
    finally:
        for line in lines:
            line.close()


async def _send(load: Load, line: Line, numbers: Iterator[int], waits: list[float]) -> None:
    sender, message = load.sender.encode(), load.message.encode() + b".\r\n"
    name = load.name.encode()
    for number in numbers:
        begun = time.perf_counter()
        line.write(SUBMITTED % (sender, b"reader-%d@north.example" % number))
        for code in (b"250", b"250", b"354"):
            await line.expect(code)
        line.write(b"Message-ID: <%b.%d@load.example>\r\n" % (name, number) + message)
        await line.expect(b"250")
        waits.append(time.perf_counter() - begun)


if __name__ == "__main__":
    answered = uvloop.run(_submit(Load(**json.loads(sys.argv[1]))))
    # Through a buffer, which writes on where a write was cut short: with PYTHONUNBUFFERED standard output has none, and
    # the end of uvloop's io_uring interrupts a write to a full pipe.
    with open(sys.stdout.fileno(), "w", closefd=False) as report:
        json.dump(asdict(answered), report)
