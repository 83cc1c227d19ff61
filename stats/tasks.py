"""Celery's side of statistics; queue `background`."""

from celery import shared_task

from stats import rollups


@shared_task(ignore_result=True)
def roll_up() -> None:
    """Bring the figures per day up to date (every half minute)."""
    rollups.roll_up()
