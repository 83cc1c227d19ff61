"""Rate limits that hold across processes and machines: counted in Valkey, a window at a time.

They guard against programs that run wild, so they are worth less than an answer: while Valkey does not answer,
nothing is limited.
"""

import logging
import threading
import time
from dataclasses import dataclass
from functools import cache

import redis
from django.conf import settings

log = logging.getLogger(__name__)

PATIENCE = 0.25  # seconds; Valkey answers in less than a thousandth of one
ASK_AGAIN_AFTER = 5.0  # seconds, while it does not answer
KEPT = 10_000  # names a process remembers

STEPS = 6000  # a limit is counted in so many steps: asking Valkey for each of thousands of calls a second would tell


@dataclass(frozen=True, slots=True)
class Rate:
    """How a limit stands: `left` of `limit`, until the window ends in `resets_in` seconds."""

    limit: int
    left: int
    resets_in: int
    is_exceeded: bool


@dataclass(slots=True)
class _Step:
    """What this process may still use of what it has told Valkey: numbers `next` to `last` of a window."""

    window: int
    next: int
    last: int


_lock = threading.Lock()
_steps: dict[str, _Step] = {}
_silent_until = 0.0


def count(name: str, *, limit: int, window: int, now: float) -> Rate | None:
    """Count one use in the present window of so many seconds; None while Valkey does not answer.

    :param now: seconds since 1970.
    """
    number, into = divmod(int(now), window)
    with _lock:
        step = _steps.get(name)
        if step is None or step.window != number or step.next > step.last:
            step = _step(name, number, max(limit // STEPS, 1), lasts=window)
        if step is None:
            return None
        used, step.next = step.next, step.next + 1
    return Rate(limit=limit, left=max(limit - used, 0), resets_in=window - into, is_exceeded=used > limit)


def _step(name: str, number: int, size: int, *, lasts: int) -> _Step | None:
    global _silent_until  # noqa: PLW0603 - what this process knows of Valkey
    if time.monotonic() < _silent_until:
        return None
    key = f"mailpush:rate:{name}:{number}"
    try:
        last = int(_valkey().incrby(key, size))
        if last == size:
            _valkey().expire(key, lasts)
    except redis.RedisError:
        log.warning("Valkey does not answer; nothing is limited", exc_info=True)
        _silent_until = time.monotonic() + ASK_AGAIN_AFTER
        return None
    if len(_steps) >= KEPT:
        _steps.clear()
    _steps[name] = _Step(number, last - size + 1, last)
    return _steps[name]


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.MAILPUSH_REDIS_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, max_connections=64
    )
