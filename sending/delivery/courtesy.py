"""Keeping to what a site bears: the share of its connections, mails by the minute, and leaving it alone when it asks.

What a lane may do is in the database, for all processes and hosts; this is how a process asks for it.
"""

import os
import socket
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from math import ceil

from django.db import transaction

from mailpush.mail.tls import TlsPolicy
from sending.delivery import pacing, permits, shaping
from sending.delivery.lanes import Lane
from sending.delivery.pacing import Pace
from sending.delivery.parcels import Delivery
from sending.delivery.shaping import Advice
from sending.delivery.sites import Limits
from sending.ledger import Outcome, words
from sending.models import Lane as LaneRow
from sending.models import ReplyRule

ASK_EVERY = timedelta(seconds=2)
ASK_IN_VAIN_EVERY = timedelta(seconds=0.5)  # by lanes that have no connection yet
# A site that cannot be reached is tried again with the first of the messages that it has put off, within these bounds.
SHORTEST_SUSPENSION = timedelta(minutes=1)
LONGEST_SUSPENSION = timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Complaint:
    """What a site has let us know in one hand of deliveries: what its words ask for, or that it cannot be reached."""

    advice: Advice | None
    words: str
    until: datetime | None = None  # the next try of the first message that was put off


def admit(stream: str, sites: Collection[str], *, now: datetime) -> list[Lane]:
    """Return lanes for the sites that may be worked now; where others have all connections, they leave us some soon.

    For a start a lane asks for half of them, so that a second process can begin at once.
    """
    rows = _rows(stream, sites)
    suspended = {row.site for row in rows.values() if row.suspended_until and row.suspended_until > now}
    lanes = [Lane(site, Limits(0, 1)) for site in sites if site not in suspended]
    _ask(stream, lanes, rows, now=now, part=0.5)
    return lanes


def next_question(lane: Lane) -> datetime:
    """Return when the lane's share is to be asked for once more."""
    return lane.asked_at + (ASK_EVERY if lane.limits.connections else ASK_IN_VAIN_EVERY)


def ask_again(stream: str, lanes: Iterable[Lane], *, now: datetime) -> None:
    """Ask for the shares of lanes once more: others have come or gone, the pace has changed, or the tables have.

    When it is time for one lane, those that would follow soon are asked for with it.
    """
    due = [lane for lane in lanes if next_question(lane) <= now + ASK_EVERY / 2]
    if any(next_question(lane) <= now for lane in due):
        _ask(stream, due, _rows(stream, [lane.site for lane in due]), now=now)


def _rows(stream: str, sites: Collection[str]) -> dict[str, LaneRow]:
    return {row.site: row for row in LaneRow.objects.filter(stream=stream, site__in=sites)}


def _ask(
    stream: str, lanes: Collection[Lane], rows: Mapping[str, LaneRow], *, now: datetime, part: float = 1.0
) -> None:
    """Set what the lanes may do until the next question; they ask for a part of the connections.

    All in one question: it ends with a commit, and whoever asks has outcomes to record.
    """
    wishes = {}
    shapes = shaping.current(now)
    for lane in lanes:
        shape = shapes.shape(lane.site)
        pace = pacing.of_lane(rows[lane.site]) if lane.site in rows else Pace()
        lane.rate, most = pacing.limits(pacing.recovered(pace, shape, now), shape)
        wishes[lane.site] = permits.Wish(ceil(most * part), most)
    granted = permits.grant(stream, _holder(), wishes, now)
    for lane in lanes:
        shape = shapes.shape(lane.site)
        demand = shape.tls if shape.tls is TlsPolicy.REQUIRED else None
        lane.limits = Limits(granted[lane.site], shape.mails_per_connection, demand)
        lane.asked_at = now


def provide(stream: str, lane: Lane, *, now: datetime) -> None:
    """Let a paced lane hand out what the minute allows; it is asked again when the next mail may go."""
    if lane.rate is None:
        lane.allowance = lane.resumes_at = None
        return
    if lane.resumes_at and lane.resumes_at <= now:
        lane.resumes_at = None
    have = lane.allowance or 0
    wanted = lane.window - len(lane.out) - have if lane.has_more or lane.left else 0
    if wanted > 0 and lane.resumes_at is None:
        granted, lane.resumes_at = permits.take(stream, lane.site, wanted, lane.rate, now)
        have += granted
    lane.allowance = have


def release(stream: str, lane: Lane) -> None:
    permits.release(stream, lane.site, _holder())


def _holder() -> str:
    """Return the name of this process; asked for each time, since processes are forked."""
    return f"{socket.gethostname()[:100]}:{os.getpid()}"


def complaint(delivery: Delivery, outcome: Outcome, advice: Advice | None) -> Complaint | None:
    """Return what a delivery means for its whole lane, if anything."""
    if advice and advice.action in ReplyRule.PACING:
        return Complaint(advice, words(str(delivery.reply)))
    if delivery.is_about_us:
        return Complaint(None, outcome.reply, outcome.next_attempt_at)
    return None


@transaction.atomic
def heed(stream: str, site: str, complaints: list[Complaint], *, now: datetime) -> datetime | None:
    """Slow the lane down or suspend it, for all processes; return until when it is suspended.

    Complaints of one hand are one wish: the strongest counts.
    """
    row, _ = LaneRow.objects.select_for_update().get_or_create(stream=stream, site=site)
    pace, until, reason = pacing.of_lane(row), row.suspended_until, row.reason
    shape = shaping.current(now).shape(site)
    for each in complaints:
        if each.advice:
            pace = pacing.slowed(pace, shape, each.advice, now, reason=each.words)
        end = _end(each, now)
        if end and (until is None or end > until):
            until, reason = end, each.words
    LaneRow.objects.filter(stream=stream, site=site).update(
        suspended_until=until, reason=reason, **pacing.columns(pace)
    )
    return until if until and until > now else None


def _end(each: Complaint, now: datetime) -> datetime | None:
    if each.advice is None:
        wait = (each.until or now) - now
        return now + min(max(wait, SHORTEST_SUSPENSION), LONGEST_SUSPENSION)
    if each.advice.action == ReplyRule.Action.SUSPEND:
        return now + timedelta(seconds=each.advice.seconds)
    return None
