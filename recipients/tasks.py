"""Background work of lists; queue `background`."""

from celery import shared_task
from django.utils import timezone

from recipients import purging
from recipients.imports import claims, work


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
    """Begin anew what dead workers left, and finish off deleted lists."""
    now = timezone.now()
    for import_id in claims.resumable(now):
        run_import.delay(import_id=import_id)
    for list_id in purging.due(now):
        purge_list.delay(list_id=list_id)
