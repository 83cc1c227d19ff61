"""Who is killed: the processes of `up` by name, with SIGKILL, and what the broker holds."""

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import psutil  # type: ignore[import-untyped]
import redis
from django.conf import settings

from mailpush.runtime.chaos.proof import Kill
from mailpush.runtime.embedded import Postgres, Valkey
from mailpush.runtime.parts import Part

FLUSH = "broker flushed"
POLL = 0.05
# Dealt like cards, so that every kind has its turn: what holds mails in flight dies most.
DECK = (
    "batch",
    "batch",
    "batch",
    "trigger",
    "trigger",
    "postgres",
    "postgres",
    "valkey",
    FLUSH,
    "submission",
    "background",
    "beat",
)


def deal(chance: random.Random) -> Iterator[str]:
    """Yield kinds of victims for ever."""
    while True:
        yield from chance.sample(DECK, len(DECK))


def kill(kind: str, parts: Sequence[Part], chance: random.Random) -> Kill:
    """Kill one of a kind, waiting for one that lives; return what and when."""
    if kind == FLUSH:
        return Kill(_flush(), FLUSH)
    victim = chance.choice([part for part in parts if part.name.partition("-")[0] == kind])
    while (pid := _pid(victim)) is None:
        time.sleep(POLL)
    at = time.time()
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return Kill(at, victim.name)


def _pid(part: Part) -> int | None:
    """Return the process of a part; None between two lives."""
    for server in (Postgres(settings.PLACES), Valkey(settings.PLACES)):
        if server.name == part.name:
            return server.running_pid()
    for child in psutil.Process().children():
        with suppress(psutil.NoSuchProcess):
            if tuple(child.cmdline()) == part.command:
                return int(child.pid)
    return None


def _flush() -> float:
    with redis.Redis(unix_socket_path=str(Valkey(settings.PLACES).socket)) as broker:
        while True:
            at = time.time()
            try:
                broker.flushall()
            except redis.RedisError:  # it was killed a moment ago
                time.sleep(POLL)
            else:
                return at
