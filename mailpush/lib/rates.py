"""Rate limits that hold across processes and machines: counted in Valkey, a window at a time.

They guard against programs that run wild, so they are worth less than an answer: while Valkey does not answer,
nothing is limited.
"""

import logging
import time
from dataclasses import dataclass
from functools import cache

import redis
from django.conf import settings

log = logging.getLogger(__name__)

PATIENCE = 0.25  # seconds; Valkey answers in less than a thousandth of one
ASK_AGAIN_AFTER = 5.0  # seconds, while it does not answer

_silent_until = 0.0


@dataclass(frozen=True, slots=True)
class Rate:
    """How a limit stands: `left` of `limit`, until the window ends in `resets_in` seconds."""

    limit: int
    left: int
    resets_in: int
    is_exceeded: bool


def count(name: str, *, limit: int, window: int, now: float) -> Rate | None:
    """Count one use in the present window of so many seconds; None while Valkey does not answer.

    :param now: seconds since 1970.
    """
    global _silent_until  # noqa: PLW0603 - what this process knows of Valkey
    if time.monotonic() < _silent_until:
        return None
    number, into = divmod(int(now), window)
    key = f"mailpush:rate:{name}:{number}"
    try:
        used, _ = _valkey().pipeline(transaction=False).incr(key).expire(key, window).execute()
    except redis.RedisError:
        log.warning("Valkey does not answer; nothing is limited", exc_info=True)
        _silent_until = time.monotonic() + ASK_AGAIN_AFTER
        return None
    return Rate(limit=limit, left=max(limit - used, 0), resets_in=window - into, is_exceeded=used > limit)


@cache
def _valkey() -> redis.Redis:
    return redis.Redis.from_url(
        settings.MAILPUSH_REDIS_URL, socket_timeout=PATIENCE, socket_connect_timeout=PATIENCE, max_connections=64
    )
