"""The Celery application: wake-ups and background work, never truth."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailpush.settings")
# They load all pages, 20 MB that no worker needs; the web processes and every `manage.py` command make them.
os.environ.setdefault("CELERY_SKIP_CHECKS", "1")

app = Celery("mailpush")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
