"""Everything on one machine: databases, web, SMTP doors, workers, and in sandbox mode the pretend internet."""

import asyncio
import os
import sys
import time
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailpush.places import Places
from mailpush.runtime import probes
from mailpush.runtime.embedded import ServerFailed
from mailpush.runtime.launch import Launch
from mailpush.runtime.locks import Locked, locked
from mailpush.runtime.nursery import Newborn, Nursery
from mailpush.runtime.steps import StepFailed
from mailpush.runtime.supervisor import PartFailed
from mailpush.sandbox.ports import choose_ports

COMMANDS_END_WITHIN = 30.0  # seconds
LEFTOVERS_END_WITHIN = 12.0  # a web process ends its requests first
POLL = 0.1


class Command(BaseCommand):
    help = "Start everything on this machine and keep it running until told to stop."
    requires_system_checks: list[str] = []  # its parts run them

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--no-demo", action="store_true", help="create no demo account on an empty data folder")

    def handle(self, *, no_demo: bool, **_options: Any) -> None:
        places: Places = settings.PLACES
        places.data.mkdir(parents=True, exist_ok=True, mode=0o700)
        os.chdir(settings.BASE_DIR)
        try:
            # First of all: what is forked from it must not inherit locks, threads or connections.
            self._nursery = Nursery()
        except Newborn as newborn:
            newborn.live()
            return
        try:
            with locked(places.locks / "up"):
                self._must_have_free_doors()
                self._have_free_ports(places)
                self._run_alone(places, wants_demo=not no_demo)
        except Locked:
            raise CommandError(
                f"mailpush already runs on {places.data}. Stop it first, or set MAILPUSH_DATA_DIR to another folder."
            ) from None
        except (PartFailed, ServerFailed, StepFailed) as failure:
            raise CommandError(str(failure)) from failure

    def _run_alone(self, places: Places, *, wants_demo: bool) -> None:
        """Run with the embedded servers for ourselves: other commands may borrow them, but not stop them."""
        try:
            with locked(places.locks / "users", patience=COMMANDS_END_WITHIN):
                asyncio.run(self._launch(wants_demo=wants_demo))
        except Locked:
            raise CommandError(
                f"Another manage.py command still works on {places.data}. Try again when it is done."
            ) from None

    async def _launch(self, *, wants_demo: bool) -> None:
        await Launch(self._say, self._nursery, wants_demo=wants_demo).run()

    def _say(self, line: str) -> None:
        self.stdout.write(line)
        self.stdout.flush()

    def _must_have_free_doors(self) -> None:
        """What a killed start has left may hold them a while longer; another program keeps them."""
        if not probes.taken():
            return
        self._say("Another program listens where mailpush would; waiting whether it ends…")
        end = time.monotonic() + LEFTOVERS_END_WITHIN
        while taken := probes.taken():
            if time.monotonic() > end:
                raise CommandError("\n".join(taken))
            time.sleep(POLL)

    def _have_free_ports(self, places: Places) -> None:
        """Where another program has taken the sandbox's ports since, choose others and begin anew with them."""
        if settings.MAILPUSH_DELIVERY == "sandbox" and not settings.SANDBOX_PORTS.are_free:
            choose_ports(places.sandbox_ports)
            os.execv(sys.executable, [sys.executable, *sys.argv])  # noqa: S606 ourselves again
