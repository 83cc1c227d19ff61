"""When what runs (Celery Beat) and on which queue (explicit tables, so that grep finds them).

Queues are named for urgency: `trigger` and `batch` carry delivery, `background` the rest.
"""

from datetime import timedelta
from typing import Any

BEAT_SCHEDULE: dict[str, dict[str, Any]] = {
    "wake-lanes": {
        "task": "sending.tasks.wake_lanes",
        "schedule": timedelta(seconds=1),
        "options": {"expires": 5},
    },
    "start-due-batches": {
        "task": "sending.tasks.start_due_batches",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 30},
    },
    "read-returned": {
        "task": "sending.tasks.read_returned",
        "schedule": timedelta(seconds=60),
        "options": {"expires": 60},
    },
    "suppress-unreachable": {
        "task": "sending.tasks.suppress_unreachable",
        "schedule": timedelta(minutes=5),
        "options": {"expires": 300},
    },
    "purge-returned": {
        "task": "sending.tasks.purge_returned",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "forget-accepted": {
        "task": "sending.tasks.forget_accepted",
        "schedule": timedelta(hours=1),
        "options": {"expires": 3600},
    },
    "resume-address-files": {
        "task": "sending.tasks.resume_address_files",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 30},
    },
    "purge-uploads": {
        "task": "mailpush.rpc.tasks.purge_uploads",
        "schedule": timedelta(minutes=10),
        "options": {"expires": 600},
    },
    "run-webhooks": {
        "task": "sending.tasks.run_webhooks",
        "schedule": timedelta(seconds=2),
        "options": {"expires": 4},
    },
    "prune-webhooks": {
        "task": "sending.tasks.prune_webhooks",
        "schedule": timedelta(hours=1),
        "options": {"expires": 600},
    },
    "forget-calls": {
        "task": "accounts.tasks.forget_calls",
        "schedule": timedelta(minutes=30),
        "options": {"expires": 600},
    },
    "check-due-domains": {
        "task": "domains.tasks.check_due_domains",
        "schedule": timedelta(seconds=15),
        "options": {"expires": 60},
    },
    "resume-imports": {
        "task": "recipients.tasks.resume_imports",
        "schedule": timedelta(seconds=5),
        "options": {"expires": 30},
    },
    "purge-lists": {
        "task": "recipients.tasks.purge_lists",
        "schedule": timedelta(seconds=60),
        "options": {"expires": 120},
    },
    "roll-up-statistics": {
        "task": "stats.tasks.roll_up",
        "schedule": timedelta(seconds=30),
        "options": {"expires": 60},
    },
}

# Delivery tasks name their queue when they are sent: it is the stream of their lane.
TASK_ROUTES: dict[str, dict[str, str]] = {
    "sending.tasks.wake_lanes": {"queue": "trigger"},
}
