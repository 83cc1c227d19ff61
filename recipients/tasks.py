"""Background work of lists; queue `background`."""

from typing import Any

from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from recipients import purging
from recipients.imports import claims, work

WAKE_UP_LASTS = 30  # seconds: where workers are busy, those for one import must not pile up


@shared_task(acks_late=True, ignore_result=True)
def run_import(*, import_id: int) -> None:
    """Do the import, and those that waited for its list."""
    waiting: int | None = import_id
    while waiting is not None and work.run(waiting):
        waiting = claims.next_in_line(waiting)


@shared_task(acks_late=True, ignore_result=True)
def purge_list(*, list_id: int) -> None:
    purging.purge_list(list_id)


@shared_task(ignore_result=True)
def resume_imports() -> None:
    """Begin anew what stopped and dead workers left."""
    for import_id in claims.resumable(timezone.now()):
        run_import.apply_async(kwargs={"import_id": import_id}, expires=WAKE_UP_LASTS)


@shared_task(ignore_result=True)
def purge_lists() -> None:
    """Finish off deleted lists."""
    for list_id in purging.due(timezone.now()):
        purge_list.delay(list_id=list_id)


@worker_shutting_down.connect
def _begin_to_stop(**_signal: Any) -> None:
    work.begin_to_stop()
