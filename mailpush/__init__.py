"""mailpush: a self-hosted e-mail push platform."""

from mailpush.celery import app as celery_app

__all__ = ["celery_app"]
