"""Lanes, as operators handle them."""

from datetime import datetime

from django.db import transaction

from accounts.models import AuditEntry, User
from sending import tasks
from sending.models import Chunk, Lane


@transaction.atomic
def resume(*, stream: str, site: str, operator: User, ip: str | None, now: datetime) -> bool:
    """End a lane's suspension and wake it; return whether it was suspended.

    What the suspension put off is due at once; retries of single messages keep their time.
    """
    lane = Lane.objects.select_for_update().filter(stream=stream, site=site, suspended_until__gt=now).first()
    if lane is None or lane.suspended_until is None:
        return False
    Chunk.objects.filter(stream=stream, site=site, leased_until=None, due_at=lane.suspended_until).update(due_at=now)
    Lane.objects.filter(stream=stream, site=site).update(suspended_until=None, reason="")
    # Lanes belong to no account, so there is no actor of one.
    AuditEntry.objects.create(
        actor=f"operator {operator.email}",
        action="lane.resumed",
        target=str(lane),
        details={"reason": lane.reason[:500]},
        ip=ip,
        at=now,
    )
    transaction.on_commit(tasks.wake_lanes.delay, robust=True)
    return True
