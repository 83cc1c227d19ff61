"""Writing the audit log; it is read in the console and the admin."""

from typing import Any

from accounts.actors import Actor
from accounts.models import AuditEntry


def record(action: str, *, by: Actor, target: object = "", **details: Any) -> None:
    """Note a change in the transaction that makes it: `action` is `thing.deed`, e.g. `domain.created`.

    `details` hold plain JSON values and never a secret.
    """
    AuditEntry.objects.create(
        account=by.account, actor=by.name, action=action, target=str(target)[:320], details=details, ip=by.ip
    )
