"""How fast a batch leaves: from the list to the last outcome committed, through worker processes as `up` starts them.

Each mail is rendered, signed with RSA-2048 and sent over SMTP; the sink is Postfix's `smtp-sink` where it is installed,
else our own. Sink, name server, databases and workers share the machine.
"""

import os
import shutil
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings

from mailpush.runtime.benchmarks import celery_peer, signing
from mailpush.runtime.benchmarks.campaign import PLACES, Customer, customer, make_batch, make_list
from mailpush.runtime.benchmarks.measured import Measured
from mailpush.runtime.benchmarks.processes import (
    cpu_seconds,
    database_pids,
    rss_mb,
    started,
    wait_for_doors,
    wait_for_workers,
)
from mailpush.runtime.benchmarks.throwaway import HOST, free_ports
from mailpush.runtime.parts import MANAGE, Part, parts
from sending import expansion, tasks
from sending.models import Batch, Lane, Status

SINK_CONNECTIONS = 1024
WARM_UP = 500  # mails, so that destinations are known and code is loaded
PEER_MAILS = 300  # more does not change its rate
POLL = 0.05
ABSENT_PEERS = ("Postfix with OpenDKIM", "django-post-office")
WAKE_EVERY = 1.0  # seconds, as beat does
GIVE_UP_AFTER = 150.0  # seconds without progress


class Stuck(Exception):
    """A batch does not get on."""


def needs(workers: int, **_options: int) -> dict[str, str]:
    """Return the settings of a run."""
    given = {"MAILPUSH_WORKERS": str(workers)}
    return {**given, "MAILPUSH_MX_PORT": str(free_ports(1)[0])} if smtp_sink() else given


def run(recipients: int, workers: int) -> Measured:
    """Measure one batch, the limit of the machine and the peers, one after the other."""
    limit = signing.limit()
    with _internet():
        sender = customer()
        with started(_workers()) as processes:
            wait_for_workers([part.name for part in _workers()])
            _send(_expanded(sender, WARM_UP, "warm-up")[0])
            batch, expand_seconds = _expanded(sender, recipients, "readers")
            workers_pids = [process.pid for process in processes]
            before = cpu_seconds(workers_pids), cpu_seconds(database_pids())
            seconds, peak = _send(batch, watched=workers_pids)
            ours = cpu_seconds(workers_pids) - before[0]
            databases = cpu_seconds(database_pids()) - before[1]
        peer_batch, _ = _expanded(sender, PEER_MAILS, "peer")
        peer_rate = celery_peer.measure(list(peer_batch.messages.values_list("pk", flat=True)))
    rate = recipients / seconds
    return Measured(
        {
            "recipients": recipients,
            "messages_per_s": round(rate, 1),
            "per_cpu_s": round(recipients / (ours + databases), 1),
            "signing_limit_per_s": round(limit),
            "share_of_signing_limit": round(rate / limit, 3),
            "peak_rss_mb": round(peak, 1),
            "expand_rows_per_s": round(recipients / expand_seconds),
            "peers": {celery_peer.NAME: round(peer_rate, 1)},
        },
        [
            f"CPU a message: {_us(ours / recipients)} in the workers, {_us(databases / recipients)} in the databases.",
            f"{workers} delivery processes, {len(PLACES)} destinations; sink: {smtp_sink() or 'our own'}.",
            f"{celery_peer.NAME}: {PEER_MAILS} mails.",
            f"Not compared, as not installed or not to be set up in passing: {', '.join(ABSENT_PEERS)}.",
        ],
    )


# The pretend internet


def smtp_sink() -> str:
    """Return the path of Postfix's sink, empty where it is not installed."""
    return shutil.which("smtp-sink", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/libexec/postfix") or ""


@contextmanager
def _internet() -> Iterator[None]:
    """Have a name server and a sink, each a process of its own."""
    internet = [Part("sandbox", (*MANAGE, "run_sandbox", "--discard"))]
    if smtp_sink():
        as_nobody = ("-u", "nobody") if os.geteuid() == 0 else ()
        command = (smtp_sink(), *as_nobody, f"{HOST}:{settings.MAILPUSH_MX_PORT}", str(SINK_CONNECTIONS))
        internet.append(Part("sink", command, stop_signal=signal.SIGKILL))
    with started(internet):
        wait_for_doors(["sandbox"])
        yield


def _workers() -> list[Part]:
    return [part for part in parts() if part.name.startswith("batch-")]


# One batch


def _expanded(sender: Customer, count: int, name: str) -> tuple[Batch, float]:
    """Prepare a batch to a fresh list; return it and how long its expansion took."""
    batch = make_batch(sender.batch_sender, make_list(sender.account, count, name=name))
    begun = time.perf_counter()
    if not expansion.expand(batch.pk):
        raise Stuck("The batch was not prepared.")
    return batch, time.perf_counter() - begun


def _send(batch: Batch, *, watched: list[int] | None = None) -> tuple[float, float]:
    """Wake the lanes until the batch is over; return the seconds it took and the largest worker's peak."""
    begun = time.perf_counter()
    wake_at, moved_at, delivered, peak = begun, begun, 0, 0.0
    while not batch.is_over:
        now = time.perf_counter()
        if now >= wake_at:
            tasks.wake_lanes()
            wake_at += WAKE_EVERY
            peak = max(peak, rss_mb(watched) if watched else 0.0)
        time.sleep(POLL)
        batch.refresh_from_db()
        if batch.delivered > delivered:
            delivered, moved_at = batch.delivered, now
        if now - moved_at > GIVE_UP_AFTER:
            raise Stuck(f"{batch.delivered} of {batch.total} were delivered, then nothing moved. {_state(batch)}")
    seconds = time.perf_counter() - begun
    if batch.delivered != batch.total:
        raise Stuck(f"Only {batch.delivered} of {batch.total} were delivered. {_state(batch)}")
    return seconds, peak


def _state(batch: Batch) -> str:
    """Return what stands in the way, as far as the rows tell."""
    last = batch.messages.exclude(last_reply="").exclude(status=Status.DELIVERED).first()
    chunks = [f"{chunk} (fence {chunk.fence}, {len(chunk.in_flight)} in flight)" for chunk in batch.chunks.all()]
    lanes = [f"{lane} until {lane.suspended_until:%X}: {lane.reason}" for lane in Lane.objects.exclude(reason="")]
    return f"Queue: {chunks}. Suspended lanes: {lanes}. Words: {last.last_reply if last else 'none'}."


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.0f} µs"
