"""The processes that make up a running mailpush, written out."""

import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass

from django.conf import settings
from django.core.management import get_commands

from mailpush.runtime.embedded import Server
from mailpush.runtime.processes import SUPERUSER

PYTHON = (sys.executable, "-W", f"ignore:{SUPERUSER}")
MANAGE = (*PYTHON, str(settings.BASE_DIR / "manage.py"))
CELERY = (*PYTHON, "-m", "celery", "--quiet", "--app", "mailpush")
WORKER = (*CELERY, "worker", "--without-gossip", "--without-mingle", "--without-heartbeat")


@dataclass(frozen=True, slots=True)
class Part:
    """One process of ours: its command, and how it is stopped."""

    name: str
    command: tuple[str, ...]
    user: str | None = None  # None is ours
    prepare: Callable[[], None] | None = None  # before each start
    stop_signal: signal.Signals = signal.SIGTERM
    patience: float = 5.0  # seconds from the stop signal to SIGKILL
    # What the kernel sends when `up` itself is killed. Workers go at once: their clean end would wait
    # for databases that are going too, and what they were doing is in the rows.
    death_signal: signal.Signals = signal.SIGKILL

    @property
    def script(self) -> tuple[str, ...]:
        """The command without its interpreter, where it is a Python program of ours; empty for others."""
        return self.command[len(PYTHON) :] if self.command[: len(PYTHON)] == PYTHON else ()


def database_part(server: Server) -> Part:
    return Part(
        server.name,
        tuple(server.command),
        user=server.user,
        prepare=server.prepare,
        stop_signal=server.stop_signal,
        death_signal=server.stop_signal,
    )


def parts() -> list[Part]:
    """Return everything that runs beside the databases."""
    batch = [_worker(f"batch-{number}", "batch", patience=10) for number in range(1, settings.MAILPUSH_WORKERS + 1)]
    return [
        *_commands(),
        *batch,
        _worker("trigger", "trigger", patience=10),
        _worker("background", "background", patience=10),
        Part("beat", (*CELERY, "beat", "--pidfile=", "--loglevel", "WARNING")),
    ]


def sandbox_part() -> Part:
    return Part("sandbox", (*MANAGE, "run_sandbox"))


def _commands() -> list[Part]:
    """The doors; web ends its own workers, so it is asked to where others are killed."""
    known = get_commands()
    doors = {"web": "run_web", "submission": "run_submission", "mx": "run_mx"}
    return [
        Part(name, (*MANAGE, command), patience=10, death_signal=signal.SIGTERM)
        for name, command in doors.items()
        if command in known
    ]


def _worker(name: str, queue: str, *, patience: float) -> Part:
    options = ("-Q", queue, "-n", f"{name}@%h", "--loglevel", "INFO")
    return Part(name, (*WORKER, *options), patience=patience)
