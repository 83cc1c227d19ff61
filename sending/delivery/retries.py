"""When to try again. The end is a span of time, not a number of tries, so that our own outage eats no tries."""

import random
from datetime import UTC, datetime, timedelta

from senders.models import Stream

MINUTE = timedelta(minutes=1)

# Waits between attempts; the last one repeats. A code is worth nothing after hours, so triggered mail
# tries densely at first (peers: Mailgun 10 m–4 h, Postal 5 min × 1.3ⁿ, RFC 5321 4.5.4.1 asks 30 minutes of relays).
WAITS: dict[str, tuple[timedelta, ...]] = {
    Stream.TRIGGER: tuple(MINUTE * n for n in (1, 2, 3, 5, 10, 15, 30)),
    Stream.BATCH: tuple(MINUTE * n for n in (5, 10, 20, 30, 60, 120, 240)),
}
GIVE_UP_AFTER: dict[str, timedelta] = {
    Stream.TRIGGER: timedelta(hours=4),
    Stream.BATCH: timedelta(hours=48),
}
# Up, and the end of the span down: retries that are due together share a chunk.
ROUNDED_TO: dict[str, timedelta] = {Stream.TRIGGER: timedelta(seconds=10), Stream.BATCH: MINUTE}
EPOCH = datetime.min.replace(tzinfo=UTC)  # from which that counts
JITTER = 0.2  # of the wait, so that what failed together does not come back together


def next_attempt(
    *, stream: str, attempts: int, accepted_at: datetime, now: datetime, chance: random.Random
) -> datetime | None:
    """Return when to try again after `attempts` tries (≥ 1), or None when it is time to give up.

    The last try falls just before the end of the span rather than being skipped.
    """
    step = ROUNDED_TO[stream]
    end = accepted_at + GIVE_UP_AFTER[stream]
    last = end - (end - EPOCH) % step
    if now >= last:
        return None
    waits = WAITS[stream]
    wait = waits[min(attempts, len(waits)) - 1]
    moment = min(now + wait * (1 + JITTER * chance.random()), last)
    return moment + (EPOCH - moment) % step
