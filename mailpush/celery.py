"""The Celery application: wake-ups and background work, never truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailpush.settings")

app = Celery("mailpush")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
