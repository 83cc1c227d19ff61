"""Bring everything up on one machine, and down again."""

import asyncio
import json
import signal
import time
from collections.abc import Callable
from typing import Any

from django.conf import settings

from mailpush.runtime import probes
from mailpush.runtime.borrowing import STARTS_WITHIN, configured, stop
from mailpush.runtime.demo import DemoLogins, create_demo
from mailpush.runtime.embedded import Server, ServerFailed
from mailpush.runtime.nursery import Nursery
from mailpush.runtime.parts import database_part, parts, sandbox_part
from mailpush.runtime.pending import pending_steps
from mailpush.runtime.steps import run_step
from mailpush.runtime.supervisor import Supervised, Supervisor

POLL = 0.1  # seconds
SETTLED_AFTER = 2.0
COMPLAINS_EVERY = 15.0
NAME_WIDTH = 10


class Launch:
    """One run of `up`."""

    def __init__(self, say: Callable[[str], None], nursery: Nursery, *, wants_demo: bool) -> None:
        self._say = say
        self._wants_demo = wants_demo
        self._supervisor = Supervisor(self._write, nursery)
        self._databases: list[Supervised] = []
        self._sandbox: list[Supervised] = []

    async def run(self) -> None:
        """Run until SIGINT or SIGTERM.

        :raises PartFailed, ServerFailed, StepFailed: when something cannot be started.
        """
        stopping = asyncio.Event()
        for how in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(how, stopping.set)
        told_to_stop = asyncio.create_task(stopping.wait())
        start = asyncio.create_task(self._start())
        try:
            reasons: list[asyncio.Future[Any]] = [self._supervisor.failed, told_to_stop]
            await asyncio.wait([start, *reasons], return_when=asyncio.FIRST_COMPLETED)
            if start.done() and not start.exception():
                await asyncio.wait(reasons, return_when=asyncio.FIRST_COMPLETED)
            for ended in (start, self._supervisor.failed):
                if ended.done():
                    ended.result()
        finally:
            self._say("Stopping…")
            start.cancel()
            told_to_stop.cancel()
            await asyncio.wait({start, told_to_stop})
            await self._stop()

    async def _start(self) -> None:
        if settings.MAILPUSH_DELIVERY == "sandbox":
            self._sandbox = self._supervisor.start([sandbox_part()])
        await self._start_databases(configured())
        steps = await asyncio.to_thread(pending_steps)
        if steps:
            self._say(f"Preparing ({', '.join(step[0] for step in steps)}); the first time this takes a minute…")
        await asyncio.gather(*(run_step(self._write, *step) for step in steps))
        started = self._supervisor.start(parts())
        await self._until_ready([each.part.name for each in (*self._sandbox, *started)])
        self._supervisor.trust()
        logins = await self._demo() if self._wants_demo else None
        self._announce(logins)

    async def _start_databases(self, servers: list[Server]) -> None:
        # One may still run, left by a command that was killed.
        await asyncio.gather(*(asyncio.to_thread(stop, server) for server in servers))
        self._databases = self._supervisor.start(map(database_part, servers))
        end = time.monotonic() + STARTS_WITHIN
        for server in servers:
            while not await asyncio.to_thread(server.is_ready):
                if time.monotonic() > end:
                    raise ServerFailed(f"{server.name} did not answer within {STARTS_WITHIN:g} s.")
                await asyncio.sleep(POLL)

    async def _until_ready(self, names: list[str]) -> None:
        """Wait until every door is open and nothing has died lately, saying now and then what is missing."""
        complain_at = time.monotonic() + COMPLAINS_EVERY
        while (absent := await asyncio.to_thread(probes.missing, names)) or not self._supervisor.are_settled(
            SETTLED_AFTER
        ):
            if time.monotonic() > complain_at:
                self._say(f"Still waiting for {absent or 'all parts to stay up'}")
                complain_at += COMPLAINS_EVERY
            await asyncio.sleep(POLL)

    async def _demo(self) -> DemoLogins | None:
        if settings.PLACES.demo_logins.exists():
            return create_demo()
        lines = await run_step(self._write, "create_demo")
        logins = json.loads(lines[-1]) if lines else None
        return DemoLogins(**logins) if logins else None

    async def _stop(self) -> None:
        """Workers end while there is still someone to deliver to and somewhere to write it down."""
        await self._supervisor.stop(keep=[*self._sandbox, *self._databases])
        await self._supervisor.stop(keep=self._databases)
        await self._supervisor.stop()

    def _announce(self, logins: DemoLogins | None) -> None:
        url = settings.MAILPUSH_PUBLIC_URL
        rows = [
            ("Console", f"{url}/console/"),
            ("Administration", f"{url}/admin/"),
            ("SMTP submission", ", ".join(map(str, settings.MAILPUSH_SUBMISSION_BIND))),
        ]
        if settings.MAILPUSH_DELIVERY == "sandbox":
            rows.append(("Sandbox inbox", f"{url}/console/sandbox/"))
        if logins:
            rows += [
                ("Demo customer", f"{logins.customer} / {logins.customer_password}"),
                ("Demo reviewer", f"{logins.reviewer} / {logins.reviewer_password}"),
            ]
        self._say("\nmailpush is up.")
        for name, value in rows:
            self._say(f"  {name:<16} {value}")
        self._say("Stop it with Ctrl-C.\n")

    def _write(self, name: str, line: str) -> None:
        self._say(f"{name:<{NAME_WIDTH}} | {line}")
