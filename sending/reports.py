"""What can be told of batches, messages and queues: counts by status, why a message waits, what is held up."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Count, Min, QuerySet, Sum
from django.db.models.functions import Coalesce
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from mailpush.mail.replies import Failure
from sending.models import UNROUTED, Batch, Chunk, Destination, Event, Lane, Message, Status

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


# Messages


@dataclass(frozen=True, slots=True)
class Wait:
    """Why a message has not left yet; `until` is empty where no moment is set."""

    reason: str
    until: datetime | None = None


def wait_of(message: Message, *, now: datetime) -> Wait | None:
    """Return what a message waits for; None when it does not wait.

    A lane's own words may come from the mail of another account, so they are told by kind alone.
    """
    if not message.is_waiting:
        return None
    if message.batch and message.batch.status == Batch.Status.PAUSED:
        return Wait(_("Its batch is paused."))
    destination = Destination.objects.filter(domain=message.recipient.rpartition("@")[2]).first()
    site = destination.site if destination else UNROUTED
    lane = Lane.objects.filter(stream=message.content.stream, site=site, suspended_until__gt=now).first()
    if lane and lane.suspended_until:
        return Wait(_held_up(lane), max(lane.suspended_until, message.next_attempt_at or now))
    if message.next_attempt_at and message.next_attempt_at > now:
        return Wait(
            _("The receiving server did not take it yet. It is tried again by itself."), message.next_attempt_at
        )
    if not site:
        return Wait(_("The mail servers of the recipient's domain are being looked up."))
    return Wait(_("It is in the queue and leaves as soon as its turn comes."))


def _held_up(lane: Lane) -> str:
    if not lane.site:
        return _("The look-up of mail servers is held up.")
    if lane.reason[:3].isdecimal():  # an SMTP reply
        return _("The mail servers of %(site)s have asked us to send more slowly.") % {"site": lane.site}
    return _("The mail servers of %(site)s cannot be reached at the moment.") % {"site": lane.site}


def events_of(message: Message) -> QuerySet[Event]:
    """Return every move of one message, oldest first."""
    return Event.objects.filter(message_id=message.pk).order_by("at", "pk")


# Queues


@dataclass(frozen=True, slots=True)
class Queue:
    """A lane with what waits in it. `messages` includes those on the network."""

    stream: str
    site: str
    chunks: int
    messages: int
    in_flight: int
    oldest_due: datetime | None
    suspended_until: datetime | None
    reason: str


def queues(*, now: datetime) -> list[Queue]:
    """Return the lanes that hold messages or are suspended, the most overdue first."""
    held_up = Lane.objects.filter(suspended_until__gt=now).order_by("suspended_until")
    suspended = {(lane.stream, lane.site): lane for lane in held_up}
    filled = (
        Chunk.objects.values("stream", "site")
        .annotate(
            chunks=Count("pk"),
            waiting=Coalesce(Sum("messages__len"), 0),
            in_flight=Coalesce(Sum("in_flight__len"), 0),
            oldest_due=Min("due_at"),
        )
        .order_by("oldest_due")
    )
    found = [_queue(row, suspended.pop((row["stream"], row["site"]), None)) for row in filled]
    empty = [_queue({"stream": stream, "site": site}, lane) for (stream, site), lane in suspended.items()]
    return found + empty


def _queue(row: Mapping[str, Any], lane: Lane | None) -> Queue:
    return Queue(
        stream=row["stream"],
        site=row["site"],
        chunks=row.get("chunks", 0),
        messages=row.get("waiting", 0) + row.get("in_flight", 0),
        in_flight=row.get("in_flight", 0),
        oldest_due=row.get("oldest_due"),
        suspended_until=lane.suspended_until if lane else None,
        reason=lane.reason if lane else "",
    )
