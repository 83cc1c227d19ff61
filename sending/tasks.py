"""Celery's side of sending: wake-ups and background work. The rows are the queue."""

from collections.abc import Iterable
from typing import Any

from celery import shared_task
from celery.signals import worker_init, worker_shutdown, worker_shutting_down
from django.utils import timezone

from sending import acceptance, checks, expansion, hygiene, returns
from sending.delivery import engine, waking
from sending.models import Batch
from sending.webhooks import reading, running

PREPARED_BY = 2  # workers a batch: the others have more to do
WAKE_UP_LASTS = 30  # seconds: where workers are busy, those for one file must not pile up
SITES_AT_ONCE = 50  # lanes in one wake-up: small mailings go to thousands of sites


@shared_task
def wake_lanes() -> None:
    """Send for the lanes that have something due (every second)."""
    due: dict[str, list[str]] = {}
    for stream, site in waking.due_lanes(now=timezone.now()):
        due.setdefault(stream, []).append(site)
    for stream, sites in due.items():
        wake(stream, sites)


def wake(stream: str, sites: Iterable[str]) -> None:
    """Send workers of the stream's own queue to lanes."""
    names = sorted(sites)
    for at in range(0, len(names), SITES_AT_ONCE):
        deliver_lanes.apply_async(kwargs={"stream": stream, "sites": names[at : at + SITES_AT_ONCE]}, queue=stream)


@shared_task
def deliver_lanes(*, stream: str, sites: list[str]) -> None:
    """Have this process work lanes; the task returns while they are worked."""
    wake(stream, engine.work(stream, waking.arrived(stream, sites, now=timezone.now())))


@shared_task
def start_due_batches() -> None:
    """Start scheduled batches, and take up what a dead worker or a lost wake-up has left."""
    now = timezone.now()
    for batch in (*expansion.start_scheduled(now=now), *expansion.due(now=now)):
        prepare(batch)
    for batch_id in expansion.canceled_with_chunks():
        withdraw_batch.delay(batch_id=batch_id)


def prepare(batch: Batch) -> None:
    """Send workers to turn the batch's list into messages."""
    for _ in range(min(PREPARED_BY, 1 + batch.requested // expansion.SLICE)):
        expand_batch.delay(batch_id=batch.pk)


@shared_task
def expand_batch(*, batch_id: int) -> None:
    if expansion.expand(batch_id):
        wake_lanes.delay()


@shared_task
def withdraw_batch(*, batch_id: int) -> None:
    expansion.withdraw(batch_id, now=timezone.now())


@shared_task
def read_returned() -> None:
    """Read what came through the mx door (woken by each report, and every minute)."""
    returns.read_new(now=timezone.now())


@shared_task
def suppress_unreachable() -> None:
    """Take addresses off whose mailboxes have been full or disabled for long (every five minutes)."""
    hygiene.suppress_unreachable(now=timezone.now())


@shared_task
def purge_returned() -> None:
    """Delete returned mail that has been kept long enough (every hour)."""
    returns.purge(now=timezone.now())


@shared_task
def forget_accepted() -> None:
    """Drop the keys by which repeated submissions are recognised, once nobody repeats them (every hour)."""
    acceptance.purge(now=timezone.now())


@shared_task
def check_address_file(*, file_id: int) -> None:
    checks.check_file(file_id)


@shared_task
def resume_address_files() -> None:
    """Begin anew what stopped and dead workers left."""
    for file_id in checks.unfinished(now=timezone.now()):
        check_address_file.apply_async(kwargs={"file_id": file_id}, expires=WAKE_UP_LASTS)


@shared_task
def run_webhooks() -> None:
    """Make calls of what has happened, and the calls that are due (every two seconds)."""
    reading.read_new(now=timezone.now())
    running.work()


@shared_task
def prune_webhooks() -> None:
    running.prune(now=timezone.now())


@worker_init.connect
def settle(**_kwargs: Any) -> None:
    engine.settle()


@worker_shutting_down.connect
def begin_nothing_more(**_kwargs: Any) -> None:
    engine.begin_to_stop()
    checks.begin_to_stop()


@worker_shutdown.connect
def finish_what_is_out(**_kwargs: Any) -> None:
    """Wait for what is on the network and write it down, before the worker process ends."""
    engine.stop()
