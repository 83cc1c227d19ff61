"""Who is killed: the processes of `up` by name, with SIGKILL, and what the broker holds."""

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress

import redis
from django.conf import settings

from mailpush.runtime.chaos.proof import Kill
from mailpush.runtime.embedded import Valkey
from mailpush.runtime.supervisor import Supervised

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


def kill(kind: str, inside: Sequence[Supervised], chance: random.Random) -> Kill:
    """Kill one of a kind, waiting for one that lives; return what and when."""
    if kind == FLUSH:
        return Kill(_flush(), FLUSH)
    victim = chance.choice([each for each in inside if each.part.name.partition("-")[0] == kind])
    while not victim.age:
        time.sleep(POLL)
    process = victim._process  # noqa: SLF001 nobody but chaos kills behind the supervisor's back
    assert process
    at = time.time()
    with suppress(ProcessLookupError):
        os.kill(process.pid, signal.SIGKILL)
    return Kill(at, victim.part.name)


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
