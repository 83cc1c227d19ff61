"""Delivery to servers that do not simply take everything."""

import time
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from statistics import median

from django.db.models import Sum
from django.utils import timezone

from mailpush.runtime.benchmarks import departures
from mailpush.runtime.benchmarks.campaign import PLACES, Customer, customer, make_list, press_send
from mailpush.runtime.benchmarks.departures import POLL, workers
from mailpush.runtime.benchmarks.haste import haste
from mailpush.runtime.benchmarks.measured import Measured
from mailpush.runtime.benchmarks.outside import Sink, world
from mailpush.runtime.benchmarks.processes import cpu_seconds, database_pids
from mailpush.runtime.smartsink.fates import Fate
from mailpush.runtime.smartsink.servers import DISTANT, HEALTHY, PROVIDERS, UNPLEASANT, Server
from recipients.models import RecipientList
from sending import expansion
from sending.acceptance import Addressee
from sending.models import Batch, Event, Lane, Message, Status
from sending.services import batches, sends
from sending.services.inline import Body

# One in so many has the fate; their number has no divisor in common with that of the providers.
FATES = (Fate.ACCEPT,) * 84 + (
    *(Fate.LATER, Fate.LATER, Fate.BUSY, Fate.RATE, Fate.DROP, Fate.SLOW),
    *(Fate.GONE, Fate.GONE, Fate.GONE, Fate.SPAM, Fate.FULL, Fate.LATER, Fate.GONE),
)
WITHIN = 60.0  # seconds without a mail at a server that takes everything
CODES, CODE_EVERY = 200, 0.05  # triggered mails, and seconds between them
DISTANT_SHARE = 10  # the distant server gets one mail in so many, for it is slower by as much


# Smart: everybody is somewhat difficult


def smart(recipients: int, processes: int) -> Measured:
    """Send to six providers, each in its own words slow, full, busy, forgetful; retries are due at once."""
    with world(smart=True) as sink:
        sender = customer()
        names = [server.domain for server in PROVIDERS]
        readers = make_list(sender.account, recipients, name="readers", local_parts=FATES, places=names)
        with workers(processes) as running, haste():
            before = cpu_seconds(running.all), cpu_seconds(database_pids())
            begun = time.perf_counter()
            batch = press_send(sender, readers)
            _wait_until_over(batch)
            seconds = time.perf_counter() - begun
            ours = cpu_seconds(running.all) - before[0]
            databases = cpu_seconds(database_pids()) - before[1]
        sink.wait_for(batch.delivered, within=5)
        taken = sum(sink.taken(name) for name in names)
    tries = Event.objects.filter(batch_id=batch.pk, attempt__isnull=False).aggregate(n=Sum("n"))["n"]
    ends = {status: getattr(batch, status) for status in ("delivered", "bounced", "failed", "unknown")}
    return Measured(
        {
            "recipients": recipients,
            "messages_per_s": round(recipients / seconds, 1),
            "attempts_per_s": round(tries / seconds, 1),
            "per_cpu_s": round(recipients / (ours + databases), 1),
            **ends,
            "taken_by_sink": taken,
        },
        [
            f"{processes} delivery processes, {len(PROVIDERS)} providers; retries made due every second.",
            f"One in {len(FATES)}: {', '.join(f'{n} × {fate}' for fate, n in Counter(FATES).items())}.",
        ],
    )


def _wait_until_over(batch: Batch) -> None:
    """:raises Stuck: nothing moves any more."""
    moved_at, seen = time.monotonic(), -1
    while not batch.is_over:
        time.sleep(POLL)
        batch.refresh_from_db()
        settled = batch.delivered + batch.bounced + batch.failed + batch.unknown
        if settled != seen:
            seen, moved_at = settled, time.monotonic()
        if time.monotonic() - moved_at > departures.GIVE_UP_AFTER:
            raise departures.Stuck(f"{settled} of {batch.total} were settled, then nothing moved.")


# Trigger: codes beside a campaign


def trigger(recipients: int, processes: int) -> Measured:
    """Measure how long triggered mails take from acceptance to the server's answer while a batch leaves."""
    with world() as sink:
        sender = customer()
        readers = make_list(sender.account, recipients, name="readers")
        with workers(processes):
            sink.expect()
            batch = press_send(sender, readers)
            sink.wait_for(1, within=WITHIN)
            codes = list(_codes(sender, batch))
            seconds = sorted(_seconds_of(codes))
    return Measured(
        {
            "recipients": recipients,
            "triggered": len(codes),
            "batch_settled_meanwhile": batch.delivered,
            "p50_s": round(seconds[len(seconds) // 2], 3),
            "p99_s": round(seconds[len(seconds) * 99 // 100], 3),
            "longest_s": round(seconds[-1], 3),
        },
        [f"{processes} delivery processes for the batch; a code every {CODE_EVERY * 1000:.0f} ms."],
    )


def _codes(sender: Customer, batch: Batch) -> Iterator[int]:
    """Send mails with codes until there are enough or the batch is over; yield their ids."""
    text = Body("Your code", text="It is 123456.")
    for number in range(CODES):
        to = Addressee(f"reader-{number}@{PLACES[number % len(PLACES)]}")
        wanted = sends.Wanted(sender.trigger_sender.address, [to], body=text)
        yield sends.send(wanted, by=sender.actor, now=timezone.now())[0].message_id
        time.sleep(CODE_EVERY)
        batch.refresh_from_db()
        if batch.is_over:
            return


def _seconds_of(codes: Collection[int]) -> list[float]:
    """Return how long the messages took, once all are delivered.

    :raises Stuck: not all are.
    """
    delivered = Event.objects.filter(message_id__in=codes, status=Status.DELIVERED)
    end = time.monotonic() + WITHIN
    while delivered.count() < len(codes):
        if time.monotonic() > end:
            raise departures.Stuck(f"{delivered.count()} of {len(codes)} triggered mails were delivered.")
        time.sleep(POLL)
    at = dict(delivered.values_list("message_id", "at"))
    accepted = Message.objects.filter(pk__in=codes).values_list("pk", "created_at")
    return [(at[pk] - since).total_seconds() for pk, since in accepted]


# Fair: one is healthy, the others take up time and connections


@dataclass(frozen=True, slots=True)
class Pace:
    """Mails per second that a server gets, alone and with difficult ones beside it, in the median of the rounds."""

    alone: float
    beside: float
    ratio: float


def fair(recipients: int, processes: int, rounds: int) -> Measured:
    """Compare what a healthy server gets with what it gets while as many mails wait for each of the difficult ones."""
    with world(smart=True) as sink:
        sender = customer()
        near = _pace(sender, sink, HEALTHY, recipients, processes, rounds)
        distant = _pace(sender, sink, DISTANT, recipients // DISTANT_SHARE, processes, rounds)
    others = ", ".join(server.manner for server in UNPLEASANT)
    return Measured(
        {
            "recipients": recipients,
            "alone_per_s": round(near.alone, 1),
            "beside_per_s": round(near.beside, 1),
            "ratio": round(near.ratio, 3),
            "distant_alone_per_s": round(distant.alone, 1),
            "distant_beside_per_s": round(distant.beside, 1),
            "distant_ratio": round(distant.ratio, 3),
        },
        [
            f"{processes} delivery processes; medians of {rounds} rounds, alone and beside in turns.",
            f"Beside the healthy server wait as many mails each for others: {others}.",
            "The near server is bounded by this machine's processors, which greylisted tries use, too.",
            f"The distant one, {DISTANT.round_trip * 1000:.0f} ms away, is bounded by its connections.",
        ],
    )


def _pace(sender: Customer, sink: Sink, server: Server, count: int, processes: int, rounds: int) -> Pace:
    """Measure alone and beside in turns, every other round the other way about: machines grow slower and faster."""
    readers = make_list(sender.account, count, name=server.domain, places=[server.domain])
    places = [each.domain for each in UNPLEASANT]
    others = make_list(sender.account, count * len(places), name=f"beside-{server.domain}", places=places)
    alone: list[float] = []
    beside: list[float] = []
    for number in range(rounds):
        for found, crowd in ((alone, None), (beside, others))[:: 1 if number % 2 == 0 else -1]:
            found.append(_rate(sender, sink, server, readers, processes, beside=crowd))
    return Pace(median(alone), median(beside), median(b / a for a, b in zip(alone, beside, strict=True)))


def _rate(
    sender: Customer,
    sink: Sink,
    server: Server,
    readers: RecipientList,
    processes: int,
    *,
    beside: RecipientList | None,
) -> float:
    """Return mails per second that the server gets, the others' mails having been ordered before."""
    Lane.objects.all().delete()  # nobody knows yet how they are
    ordered: list[Batch] = []
    with workers(processes):
        if beside:
            ordered.append(press_send(sender, beside))
            while ordered[0].status == Batch.Status.PREPARING:
                time.sleep(POLL)
                ordered[0].refresh_from_db()
        sink.expect()
        ordered.append(press_send(sender, readers))
        begun = time.perf_counter()
        sink.wait_for(readers.count, server.domain, within=WITHIN)
        rate = readers.count / (time.perf_counter() - begun)
    for batch in ordered:
        batch.refresh_from_db()
        if not batch.is_over:
            batches.cancel(batch, by=sender.actor, now=batch.created_at)
            expansion.withdraw(batch.pk, now=timezone.now())
    return rate
