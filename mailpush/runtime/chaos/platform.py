"""The platform under attack, run by `up`'s own supervisor: started, restarted when killed, stopped."""

import asyncio
import sys
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from mailpush.runtime import probes, smartsink
from mailpush.runtime.borrowing import STARTS_WITHIN, configured
from mailpush.runtime.embedded import ServerFailed
from mailpush.runtime.nursery import Nursery
from mailpush.runtime.parts import MANAGE, Part, database_part, parts
from mailpush.runtime.smartsink import servers
from mailpush.runtime.steps import run_step
from mailpush.runtime.supervisor import Supervised, Supervisor
from mailpush.sandbox.world import World

POLL = 0.1
LEFT_OUT = {"web", "mx"}  # nothing of the run passes through them


class Platform:
    """Databases, workers, beat and the submission door; beside them the outside world, which is not killed."""

    def __init__(self, write: Callable[[str, str], None], nursery: Nursery, books: Path) -> None:
        self._write = write
        self._supervisor = Supervisor(write, nursery)
        self._databases: list[Supervised] = []
        self._world = [
            Part("sandbox", (*MANAGE, "run_sandbox", "--discard")),
            Part("sink", (sys.executable, "-m", smartsink.__name__, str(settings.MAILPUSH_MX_PORT), str(books))),
        ]
        self._outside: list[Supervised] = []
        self.inside: list[Supervised] = []  # what may be killed

    async def start(self) -> None:
        """:raises ServerFailed, StepFailed, PartFailed: when something does not come up."""
        servers.publish(World(settings.PLACES.sandbox))
        self._outside = self._supervisor.start(self._world)
        databases = configured()
        for server in databases:
            server.prepare()
        own = [part for part in parts() if part.name not in LEFT_OUT]
        self._databases = self._supervisor.start(map(database_part, databases))
        for server in databases:
            await self._until(server.is_ready, server.name)
        await run_step(self._write, "migrate", "--no-input", "--verbosity", "0")
        started = self._supervisor.start(own)
        self.inside = [*self._databases, *started]
        names = [each.part.name for each in (*self._outside, *started)]
        await self._until(lambda: not probes.missing(names) and self._supervisor.are_settled(2.0), ", ".join(names))
        self._supervisor.trust()

    async def stop(self) -> None:
        await self._supervisor.stop(keep=[*self._outside, *self._databases])
        await self._supervisor.stop()

    async def _until(self, is_so: Callable[[], bool], what: str) -> None:
        end = time.monotonic() + STARTS_WITHIN
        while not await asyncio.to_thread(is_so):
            if self._supervisor.failed.done():
                self._supervisor.failed.result()
            if time.monotonic() > end:
                raise ServerFailed(f"{what} did not answer within {STARTS_WITHIN:g} s.")
            await asyncio.sleep(POLL)
