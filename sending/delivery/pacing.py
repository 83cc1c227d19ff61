"""The pace of a lane: cut when a server asks for it, and recovering by itself up to what the site bears.

Pure. A cut halves (multiplicative decrease); after the time a rule names, every quiet minute gives back half
as much again. Nobody has to be awake for that: `recovered` tells what holds at any moment.
"""

import math
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from sending.delivery.shaping import Advice, Shape
from sending.models import Lane

STEP = timedelta(minutes=1)
GROWTH = 1.5  # a step
LEAST_PACE = 6  # mails a minute: enough to notice that a server takes mail again
FULL_PACE = 6000  # mails a minute, from which on a site without a limit of its own has none again
PER_CONNECTION = 60  # mails a minute and connection that a first cut leaves at most
CUTS_APART = timedelta(seconds=30)  # replies to what was under way together are one wish, not many


@dataclass(frozen=True, slots=True)
class Pace:
    """What a lane keeps below its shape's limits; all empty where it keeps to those alone."""

    mails_per_minute: int | None = None
    connections: int | None = None
    since: datetime | None = None  # of the last cut
    until: datetime | None = None  # the next step up
    reason: str = ""


def of_lane(lane: Lane) -> Pace:
    return Pace(lane.pace, lane.connections, lane.paced_since, lane.paced_until, lane.pace_reason)


def columns(pace: Pace) -> dict[str, object]:
    """Return the columns of Lane that hold a pace."""
    return {
        "pace": pace.mails_per_minute,
        "connections": pace.connections,
        "paced_since": pace.since,
        "paced_until": pace.until,
        "pace_reason": pace.reason,
    }


def slowed(pace: Pace, shape: Shape, advice: Advice, now: datetime, *, reason: str = "") -> Pace:
    """Return the pace after a reply that asks to slow down or suspends the lane.

    :param reason: the server's words, where the advice has none of its own.
    """
    pace = recovered(pace, shape, now)
    until = max(now + timedelta(seconds=advice.seconds), pace.until or now)
    if pace.since and now - pace.since < CUTS_APART:
        return replace(pace, until=until)
    rate, connections = limits(pace, shape)
    connections = max(connections // 2, 1)
    rate = max(min((rate or FULL_PACE) // 2, connections * PER_CONNECTION), LEAST_PACE)
    if shape.mails_per_minute is not None:
        rate = min(rate, shape.mails_per_minute)
    return Pace(rate, connections, now, until, advice.reason or reason)


def recovered(pace: Pace, shape: Shape, now: datetime) -> Pace:
    """Return the pace that holds now; the same again where it is asked again, or in smaller steps."""
    if pace.until is None or pace.mails_per_minute is None or pace.connections is None or now < pace.until:
        return pace
    steps = (now - pace.until) // STEP + 1
    rate, connections = _grown(pace.mails_per_minute, steps), _grown(pace.connections, steps)
    if rate >= (shape.mails_per_minute or FULL_PACE) and connections >= shape.connections:
        return Pace()
    return replace(pace, mails_per_minute=rate, connections=connections, until=pace.until + steps * STEP)


def limits(pace: Pace, shape: Shape) -> tuple[int | None, int]:
    """Return mails a minute (None: no limit) and connections, the lower of what pace and shape say."""
    rates = [rate for rate in (pace.mails_per_minute, shape.mails_per_minute) if rate is not None]
    rate = min(rates, default=None)
    return rate, min(pace.connections or shape.connections, shape.connections)


def _grown(value: int, steps: int) -> int:
    """Return the value after so many steps; no further than any limit there is."""
    for _step in range(min(steps, 60)):  # 60 steps lead from 1 beyond every limit
        value = math.ceil(value * GROWTH)
    return value
