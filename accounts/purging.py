"""Forgetting what is kept for a time only."""

from datetime import datetime, timedelta

from accounts.models import IdempotentCall

KEPT = timedelta(hours=24)  # calls with an Idempotency-Key


def forget_calls(*, now: datetime) -> int:
    """Forget calls that nobody repeats any more; return how many."""
    return IdempotentCall.objects.filter(created_at__lt=now - KEPT).delete()[0]
