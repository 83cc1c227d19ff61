"""Celery's side of accounts; queue `background`."""

from celery import shared_task
from django.utils import timezone

from accounts import purging


@shared_task
def forget_calls() -> None:
    """Forget calls older than a day."""
    purging.forget_calls(now=timezone.now())
