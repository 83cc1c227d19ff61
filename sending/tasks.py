"""Celery's side of sending: wake-ups and background work. The rows are the queue."""

from collections.abc import Iterable
from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from sending import expansion, returns
from sending.delivery import engine, waking


@shared_task
def wake_lanes() -> None:
    """Send for the lanes that have something due (every second)."""
    for stream, site in waking.due_lanes(now=timezone.now()):
        wake(stream, [site])


def wake(stream: str, sites: Iterable[str]) -> None:
    """Send workers of the stream's own queue to lanes."""
    for site in sites:
        deliver_lane.apply_async(kwargs={"stream": stream, "site": site}, queue=stream)


@shared_task
def deliver_lane(*, stream: str, site: str) -> None:
    if waking.arrived(stream, site, now=timezone.now()):
        wake(stream, engine.work_lane(stream, site))


@shared_task
def start_due_batches() -> None:
    """Start scheduled batches, and take up what a dead worker or a lost wake-up has left."""
    now = timezone.now()
    for batch_id in (*expansion.start_scheduled(now=now), *expansion.due(now=now)):
        expand_batch.delay(batch_id=batch_id)
    for batch_id in expansion.canceled_with_chunks():
        withdraw_batch.delay(batch_id=batch_id)


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


@worker_shutting_down.connect
def stop_handing_out(**_kwargs: Any) -> None:
    """Finish what is on the network and take nothing new; Celery waits for the lanes to return."""
    engine.stopping.set()
