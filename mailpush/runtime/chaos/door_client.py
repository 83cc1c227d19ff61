"""A customer's program that submits triggered mail while everything around it dies, and notes each 250."""

import asyncio
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from mailpush.environment import Bind
from mailpush.runtime.benchmarks.smtp_load import Line, Refused, log_in

CONNECTIONS = 4
PAUSE = 0.3  # seconds before it tries again
ANSWERS_WITHIN = 60.0
ACCEPTED_AS = re.compile(rb"Accepted as (\d+)")


@dataclass(slots=True)
class DoorClient:
    """Sends until `count` messages have been accepted; a message in doubt is not sent again, another one is."""

    bind: Bind
    sender: str
    password: str
    local_parts: Sequence[str]
    places: Sequence[str]
    count: int
    promised: list[int] = field(default_factory=list)  # ids of accepted messages

    async def run(self) -> None:
        numbers = itertools.count(1)
        await asyncio.gather(*(self._submit(numbers) for _ in range(CONNECTIONS)))

    async def _submit(self, numbers: Iterator[int]) -> None:
        while len(self.promised) < self.count:
            with suppress(OSError, EOFError, Refused, TimeoutError):
                await self._talk(numbers)
            await asyncio.sleep(PAUSE)

    async def _talk(self, numbers: Iterator[int]) -> None:
        async with asyncio.timeout(ANSWERS_WITHIN):
            line = await log_in(self.bind.host, self.bind.port, user=self.sender, password=self.password)
        try:
            while len(self.promised) < self.count:
                async with asyncio.timeout(ANSWERS_WITHIN):
                    self.promised.append(await self._send(line, next(numbers)))
        finally:
            line.close()

    async def _send(self, line: Line, number: int) -> int:
        """Submit one message and return the id it was accepted as."""
        recipient = (
            f"{self.local_parts[number % len(self.local_parts)]}-t-{number}@{self.places[number % len(self.places)]}"
        )
        await line.ask(f"MAIL FROM:<{self.sender}>".encode(), b"250")
        await line.ask(f"RCPT TO:<{recipient}>".encode(), b"250")
        await line.ask(b"DATA", b"354")
        text = f"From: {self.sender}\r\nTo: {recipient}\r\nSubject: Your code\r\n\r\nIt is {number}.\r\n."
        found = ACCEPTED_AS.search(await line.ask(text.encode(), b"250"))
        assert found
        return int(found[1])
