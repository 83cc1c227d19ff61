"""Background work of the API; queue `background`."""

from celery import shared_task
from django.utils import timezone

from mailpush.rpc import uploads


@shared_task
def purge_uploads() -> None:
    """Remove uploaded files that were kept long enough."""
    while uploads.purge(now=timezone.now()):
        pass
