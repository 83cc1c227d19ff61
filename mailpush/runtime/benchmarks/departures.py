"""One batch on its way through the processes that `up` starts, measured from pressing send to the last outcome."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from django.utils import timezone

from mailpush.runtime.benchmarks import signing
from mailpush.runtime.benchmarks.campaign import Customer, make_list, press_send
from mailpush.runtime.benchmarks.outside import Sink
from mailpush.runtime.benchmarks.processes import cpu_seconds, database_pids, memory, started, wait_for_workers
from mailpush.runtime.parts import parts
from recipients.models import RecipientList
from sending.models import Batch, Lane, Status

WARM_UP = 500  # mails, so that destinations are known and code is loaded
POLL, POLL_AT_END = 0.25, 0.02  # seconds; each look costs a millisecond of what is measured
GIVE_UP_AFTER = 150.0  # seconds without progress
DOORS = {"web", "submission", "mx"}  # no batch passes through them


class Stuck(Exception):
    """A batch does not get on."""


@dataclass(frozen=True, slots=True)
class Sent:
    """How one batch went."""

    recipients: int
    processes: int
    seconds: float  # from pressing send to the last outcome committed
    first_mail: float  # seconds until the sink had one
    prepared: float  # seconds until all recipients were messages, while mails were already leaving
    cpu: "Cpu"
    peak_rss_mb: float  # of the largest delivery process
    pss_mb: float
    limit: float  # RSA-2048 signatures a second of as many processes, before and after

    @property
    def per_second(self) -> float:
        return self.recipients / self.seconds

    @property
    def per_cpu_second(self) -> float:
        return self.recipients / (self.cpu.ours + self.cpu.databases)

    @property
    def share(self) -> float:
        return self.per_second / self.limit


@dataclass(frozen=True, slots=True)
class Cpu:
    """Seconds of the processors that were used."""

    ours: float  # all processes of the platform
    databases: float
    sink: float


@dataclass(frozen=True, slots=True)
class Workers:
    """The processes of the platform that run, and those of them that deliver."""

    all: list[int]
    delivering: list[int]


@contextmanager
def workers(processes: int) -> Iterator[Workers]:
    """Have so many delivery processes, and all that stands beside them except the doors."""
    delivering = [part for part in parts() if part.name.startswith("batch-")]
    beside = [part for part in parts() if part not in delivering and part.name not in DOORS]
    with started([*delivering[:processes], *beside]) as running:
        wait_for_workers([*(part.name for part in delivering[:processes]), "trigger", "background"])
        pids = [process.pid for process in running]
        yield Workers(pids, pids[:processes])


def measure(
    sender: Customer, recipients: RecipientList, sink: Sink, *, processes: int, is_tracked: bool = False
) -> Sent:
    """Send to the list with so many delivery processes."""
    before = signing.limit(processes)
    with workers(processes) as running:
        sink.expect()
        warm_up = make_list(sender.account, WARM_UP, name=f"warm-up-{time.monotonic_ns()}")
        finish(press_send(sender, warm_up, is_tracked=is_tracked))
        sink.wait_for(WARM_UP, within=5)
        sink.expect()
        cpu = [cpu_seconds(pids) for pids in (running.all, database_pids(), [sink.pid])]
        begun = time.perf_counter()
        batch = press_send(sender, recipients, is_tracked=is_tracked)
        prepared = finish(batch)
        seconds = time.perf_counter() - begun
        used = [cpu_seconds(pids) for pids in (running.all, database_pids(), [sink.pid])]
        peak, pss = memory(running.delivering)
    sink.wait_for(batch.total, within=5)
    assert sink.first_at
    return Sent(
        recipients.count,
        processes,
        seconds,
        sink.first_at - begun,
        prepared - begun,
        Cpu(*(after - earlier for after, earlier in zip(used, cpu, strict=True))),
        peak,
        pss,
        (before + signing.limit(processes)) / 2,
    )


def finish(batch: Batch) -> float:
    """Wait until everyone on the list has the mail; return when the batch had been prepared (`time.perf_counter`).

    :raises Stuck: it does not get on, or not all were delivered.
    """
    moved_at, delivered, prepared = time.perf_counter(), 0, 0.0
    while not batch.is_over:
        time.sleep(POLL_AT_END if batch.delivered > 0.9 * batch.requested else POLL)
        batch.refresh_from_db(fields=["status", "total", "delivered"])
        now = time.perf_counter()
        if not prepared and batch.status != Batch.Status.PREPARING:
            prepared = now
        if batch.delivered > delivered:
            delivered, moved_at = batch.delivered, now
        if now - moved_at > GIVE_UP_AFTER:
            raise Stuck(f"{batch.delivered} of {batch.total} were delivered, then nothing moved. {_state(batch)}")
    if batch.delivered != batch.requested:
        raise Stuck(f"Only {batch.delivered} of {batch.requested} were delivered. {_state(batch)}")
    return prepared


def _state(batch: Batch) -> str:
    """Return what stands in the way, as far as the rows tell."""
    last = batch.messages.exclude(last_reply="").exclude(status=Status.DELIVERED).first()
    chunks = [f"{chunk} (fence {chunk.fence}, {len(chunk.in_flight)} in flight)" for chunk in batch.chunks.all()[:10]]
    waiting = Lane.objects.filter(suspended_until__gt=timezone.now())
    lanes = [f"{lane} until {lane.suspended_until:%X}: {lane.reason}" for lane in waiting]
    return f"Queue: {chunks}. Suspended lanes: {lanes}. Words: {last.last_reply if last else 'none'}."
