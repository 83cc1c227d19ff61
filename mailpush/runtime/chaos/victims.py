"""Who is killed: the processes of `up` by name, mostly with SIGKILL, and what the broker holds."""

import os
import random
import signal
import time
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import redis
from django.conf import settings

from mailpush.runtime.embedded import Valkey
from mailpush.runtime.supervisor import Supervised

FLUSH = "broker flushed"
STOP = "postgres, stopped at once"  # as `pg_ctl stop -m immediate` does; it comes back through crash recovery
POLL = 0.05
ESTABLISHED = "01"  # in /proc/net/tcp
# Dealt like cards, so that every kind has its turn: what holds mails in flight dies most.
DECK = (
    "batch",
    "batch",
    "batch",
    "trigger",
    "trigger",
    "postgres",
    STOP,
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


def kill(kind: str, inside: Sequence[Supervised], chance: random.Random) -> tuple[float, str]:
    """Kill one of a kind, waiting for one that lives; return when, and whom."""
    if kind == FLUSH:
        return _flush(), FLUSH
    number = signal.SIGQUIT if kind == STOP else signal.SIGKILL
    name = kind.partition(",")[0]
    victim = chance.choice([each for each in inside if each.part.name.partition("-")[0] == name])
    while not victim.age:
        time.sleep(POLL)
    process = victim._process  # noqa: SLF001 nobody but chaos kills behind the supervisor's back
    assert process
    at = time.time()
    with suppress(ProcessLookupError):
        os.kill(process.pid, number)
    return at, kind if kind == STOP else victim.part.name


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


def connections() -> int:
    """Return how many connections to the sink are open."""
    port = f":{settings.MAILPUSH_MX_PORT:04X}"
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return sum(remote.endswith(port) and state == ESTABLISHED for _, _, remote, state, *_ in lines)
