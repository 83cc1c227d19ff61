"""What can be told of batches, messages and queues: counts by status, why a message waits, what is held up."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db import connection
from django.db.models import Count, Min, Q, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailpush.mail.replies import Failure, Reply
from senders.models import Stream
from sending.delivery import pacing, permits, shaping
from sending.delivery.shaping import Shape, Shaping
from sending.models import UNROUTED, Batch, Chunk, Destination, Event, Feedback, Gate, Lane, Message, Returned, Status

FAILURES = {
    Failure.NO_MAILBOX: gettext_lazy("No such mailbox"),
    Failure.MAILBOX_FULL: gettext_lazy("Mailbox full or closed"),
    Failure.POLICY: gettext_lazy("Refused by a rule of the receiver"),
    Failure.RATE: gettext_lazy("Receiver asks to slow down"),
    Failure.CONTENT: gettext_lazy("Receiver objects to the content"),
    Failure.INFRASTRUCTURE: gettext_lazy("Technical trouble on the way"),
    Failure.TRANSIENT: gettext_lazy("Receiver asks to come back later"),
    Failure.UNKNOWN: gettext_lazy("Receiver gives no clear reason"),
}

# In the order of a message's life: the good end first, what waits last.
STATUSES = (
    Status.DELIVERED,
    Status.BOUNCED,
    Status.FAILED,
    Status.UNKNOWN,
    Status.SUPPRESSED,
    Status.CANCELED,
    Status.DEFERRED,
    Status.QUEUED,
)


@dataclass(frozen=True, slots=True)
class Share:
    """The part of a batch's audience that is in one status."""

    status: Status
    count: int
    percent: float


def shares(batch: Batch) -> list[Share]:
    """Return every status with its count; together they are the batch's total, by construction.

    Percents are of what was asked for, so that the bar of a batch in preparation is not full.
    """
    counts: dict[Status, int] = {status: getattr(batch, status.value) for status in STATUSES if status != Status.QUEUED}
    counts[Status.QUEUED] = batch.total - sum(counts.values())
    whole = max(batch.total, 0 if batch.is_over else batch.requested)
    return [Share(status, counts[status], 100 * counts[status] / whole if whole else 0.0) for status in STATUSES]


# Waiting


@dataclass(frozen=True, slots=True)
class Wait:
    """Why mail has not left yet: not before `until`, or slower until `eases_at`, where such a moment is set."""

    reason: str
    until: datetime | None = None
    eases_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class DestinationWait:
    """How many of a batch's messages wait for one destination, and why."""

    title: str
    messages: int
    wait: Wait


def wait_of(message: Message, *, now: datetime) -> Wait | None:
    """Return what a message waits for; None when it does not wait."""
    if not message.is_waiting:
        return None
    if message.batch and message.batch.status == Batch.Status.PAUSED:
        return Wait(_("Its batch is paused."))
    if message.is_scheduled and message.created_at > now:
        return Wait(_("It was accepted to be sent at a later time."), message.created_at)
    destination = Destination.objects.filter(domain=message.recipient.rpartition("@")[2]).first()
    site = destination.site if destination else UNROUTED
    lane = _lane_waits(message.content.stream, [site], now=now).get(site)
    retry = message.next_attempt_at if message.next_attempt_at and message.next_attempt_at > now else None
    if lane and lane.until:
        return replace(lane, until=max(lane.until, retry or now))
    if retry:
        return Wait(_retried(message.last_reply), retry)
    return lane or _next_in_line(site)


def waits_of(batch: Batch, *, now: datetime, most: int) -> tuple[list[DestinationWait], int]:
    """Return the destinations that a batch's messages wait for, the fullest first, and how many more there are.

    It reads the batch's chunks, of up to 500 messages each, and never the messages.
    """
    if batch.is_over or not batch.waiting:
        return [], 0
    found = list(
        Chunk.objects.filter(batch=batch)
        .values("site")
        .annotate(count=Coalesce(Sum("messages__len"), 0) + Coalesce(Sum("in_flight__len"), 0), next_due=Min("due_at"))
        .filter(count__gt=0)
        .order_by("-count", "site")
    )
    shown = found[:most]
    lanes = _lane_waits(batch.content.stream, [row["site"] for row in shown], now=now)
    picture = shaping.current(now)
    return [
        DestinationWait(
            title=_title(picture.shape(row["site"]), row["site"]),
            messages=row["count"],
            wait=_group_wait(batch, row, lanes.get(row["site"]), now=now),
        )
        for row in shown
    ], len(found) - len(shown)


def _group_wait(batch: Batch, row: Mapping[str, Any], lane: Wait | None, *, now: datetime) -> Wait:
    if batch.status == Batch.Status.PAUSED:
        return Wait(_("The batch is paused."))
    if lane and lane.until:
        return lane
    if row["next_due"] > now and row["site"]:
        return Wait(
            _("The receiving servers did not take them yet. They are tried again automatically."), row["next_due"]
        )
    if row["next_due"] > now:
        return Wait(_("DNS did not say where they go. It is asked again."), row["next_due"])
    return lane or _next_in_line(row["site"])


def _next_in_line(site: str) -> Wait:
    if not site:
        return Wait(_("The mail servers of the recipient's domain are being looked up."))
    return Wait(_("It is in the queue and leaves as soon as its turn comes."))


def _retried(words: str) -> str:
    if not words:
        return _("The receiving server did not take it yet. It is tried again by itself.")
    return _("The receiving server did not take it yet: “%(words)s”. It is tried again by itself.") % {
        "words": " ".join(words.split())
    }


def _lane_waits(stream: str, sites: Sequence[str], *, now: datetime) -> dict[str, Wait]:
    """Return why lanes hold mail back; those that do not are left out. Queries do not grow with the sites."""
    lanes = {lane.site: lane for lane in Lane.objects.filter(stream=stream, site__in=sites)}
    full = dict(Gate.objects.filter(site__in=sites, next_free_at__gt=now).values_list("site", "next_free_at"))
    used = permits.open_connections(sites, now=now)
    picture = shaping.current(now)
    found = {}
    for site in sites:
        lane = lanes.get(site) or Lane(stream=stream, site=site)
        shape = picture.shape(site)
        if wait := _held_up(lane, shape, now) or _slowed(lane, shape, used, is_full=site in full, now=now):
            found[site] = wait
    return found


def _held_up(lane: Lane, shape: Shape, now: datetime) -> Wait | None:
    """Return why a lane is suspended, without words that may come from the mail of another account."""
    if lane.suspended_until is None or lane.suspended_until <= now:
        return None
    names = {"site": _title(shape, lane.site)}
    if not lane.site:
        text = _("The look-up of mail servers is held up.")
    elif why := _told(lane.reason, shape):
        text = _("Nothing goes to %(site)s at the moment.") % names + " " + why
    elif lane.reason[:3].isdecimal():  # an SMTP reply
        text = _("The mail servers of %(site)s have asked us to send more slowly.") % names
    else:
        text = _("The mail servers of %(site)s cannot be reached at the moment.") % names
    return Wait(text, lane.suspended_until)


def _slowed(
    lane: Lane, shape: Shape, used: Mapping[tuple[str, str], int], *, is_full: bool, now: datetime
) -> Wait | None:
    """Return what makes a lane wait that is not suspended: its pace, or that all connections are taken."""
    if not lane.site:
        return None
    pace = pacing.recovered(pacing.of_lane(lane), shape, now)
    rate, connections = pacing.limits(pace, shape)
    names = {"site": _title(shape, lane.site), "rate": rate, "connections": connections}
    if pace.since:
        why = _told(pace.reason, shape) or _("Its mail servers have asked for that.")
        text = _("For now %(site)s gets no more than %(rate)s mails a minute (connections: %(connections)s).")
        return Wait(text % names + " " + why, eases_at=pace.until)
    why = _(shape.reason) if shape.reason else ""
    if rate is not None and is_full:
        text = _("%(site)s gets no more than %(rate)s mails a minute.")
        return Wait(f"{text % names} {why}".rstrip())
    taken = {stream: used.get((stream, lane.site), 0) for stream in Stream.values}
    if sum(taken.values()) >= connections or taken[lane.stream] >= permits.most_of(lane.stream, connections):
        text = _("All connections that %(site)s bears at the same time (%(connections)s) are in use.")
        return Wait(f"{text % names} {why}".rstrip())
    return None


def _told(words: str, shape: Shape) -> str:
    """Return what a lane's words mean by the rules: the words themselves may come from another account's mail."""
    if words in shape.rules.reasons:
        return _(words)
    code, _space, text = words.partition(" ")
    advice = shape.rules.advice(Reply(int(code), text)) if code.isdecimal() else None
    return _(advice.reason) if advice and advice.reason else ""


def _title(shape: Shape, site: str) -> str:
    if not site:
        return _("Not looked up yet")
    return _(shape.title) if shape.site else site


# Messages


def feedback_of(message: Message) -> QuerySet[Feedback]:
    """Return what the reader did about one message, oldest first."""
    return Feedback.objects.filter(message_id=message.pk).order_by("pk")


def returned_of(message: Message) -> QuerySet[Returned]:
    """Return what came back about one message, oldest first."""
    rows = Returned.objects.without_mime().filter(account_id=message.account_id)
    return rows.filter(message_id=message.pk).order_by("pk")


def events_of(message: Message) -> QuerySet[Event]:
    """Return every move of one message, oldest first."""
    return Event.objects.filter(message_id=message.pk).order_by("at", "pk")


# Queues


@dataclass(frozen=True, slots=True)
class Queue:
    """A lane with what waits in it. `messages` includes those on the network."""

    stream: str
    site: str
    title: str
    chunks: int
    messages: int
    in_flight: int
    oldest_due: datetime | None
    suspended_until: datetime | None
    reason: str
    rate: int | None  # mails a minute; None where only the connections limit
    connections: int  # it may have at most
    connections_open: int
    eases_at: datetime | None  # where it is slower than its provider's limits
    pace_reason: str

    @property
    def stream_label(self) -> str:
        return str(Stream(self.stream).label)


def queues(*, now: datetime) -> list[Queue]:
    """Return the lanes that hold messages, are suspended or slowed down, the most overdue first."""
    filled = {(row["stream"], row["site"]): row for row in _filled(Chunk.objects.all())}
    special = Lane.objects.filter(Q(suspended_until__gt=now) | Q(paced_since__isnull=False)).order_by("suspended_until")
    lanes = {(lane.stream, lane.site): lane for lane in special}
    used = permits.open_connections(now=now)
    picture = shaping.current(now)
    found = []
    for stream, site in dict.fromkeys([*filled, *lanes]):
        row = filled.get((stream, site), {})
        queue = _queue(lanes.get((stream, site)) or Lane(stream=stream, site=site), row, picture, used, now=now)
        if row or queue.suspended_until or queue.eases_at:
            found.append(queue)
    return found


def queue_of(stream: str, site: str, *, now: datetime) -> Queue | None:
    """Return one lane, also where nothing waits in it; None where there is none."""
    lane = Lane.objects.filter(stream=stream, site=site).first()
    row = _filled(Chunk.objects.filter(stream=stream, site=site)).first()
    if lane is None and row is None:
        return None
    used = permits.open_connections([site], now=now)
    return _queue(lane or Lane(stream=stream, site=site), row or {}, shaping.current(now), used, now=now)


def last_replies(stream: str, site: str) -> list[tuple[str, int]]:
    """Return what servers said last of messages that wait in a lane, the most frequent first.

    Of the chunks that are due last, which hold those put off; a thousand messages at most.
    """
    with connection.cursor() as cursor:
        cursor.execute(LAST_REPLIES, {"stream": stream, "site": site})
        return [(reply, count) for reply, count in cursor.fetchall()]


LAST_REPLIES = """
SELECT m.last_reply, count(*)
FROM (
    SELECT unnest(c.messages) AS id FROM (
        SELECT messages FROM sending_chunk WHERE stream = %(stream)s AND site = %(site)s
        ORDER BY due_at DESC LIMIT 200
    ) c LIMIT 1000
) latest JOIN sending_message m ON m.id = latest.id
WHERE m.last_reply <> ''
GROUP BY m.last_reply ORDER BY count(*) DESC, m.last_reply LIMIT 10
"""


def _filled(chunks: QuerySet[Chunk]) -> QuerySet[Any, Any]:
    return (
        chunks.values("stream", "site")
        .annotate(
            chunks=Count("pk"),
            waiting=Coalesce(Sum("messages__len"), 0),
            in_flight=Coalesce(Sum("in_flight__len"), 0),
            oldest_due=Min("due_at"),
        )
        .order_by("oldest_due")
    )


def _queue(
    lane: Lane, row: Mapping[str, Any], picture: Shaping, used: Mapping[tuple[str, str], int], *, now: datetime
) -> Queue:
    shape = picture.shape(lane.site)
    pace = pacing.recovered(pacing.of_lane(lane), shape, now)
    rate, connections = pacing.limits(pace, shape)
    is_suspended = lane.suspended_until is not None and lane.suspended_until > now
    return Queue(
        stream=lane.stream,
        site=lane.site,
        title=_title(shape, lane.site),
        chunks=row.get("chunks", 0),
        messages=row.get("waiting", 0) + row.get("in_flight", 0),
        in_flight=row.get("in_flight", 0),
        oldest_due=row.get("oldest_due"),
        suspended_until=lane.suspended_until if is_suspended else None,
        reason=_(lane.reason) if lane.reason and is_suspended else "",
        rate=rate,
        connections=permits.most_of(lane.stream, connections),
        connections_open=used.get((lane.stream, lane.site), 0),
        eases_at=pace.until,
        pace_reason=_(pace.reason) if pace.reason else "",
    )
