"""Providers and reply rules, as operators edit them."""

from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils.translation import gettext as _

from accounts.models import AuditEntry, User
from mailpush.lib.refusals import Refusal
from sending.delivery import providers, shaping
from sending.models import Destination, Provider, ReplyRule


class NotShipped(Refusal):
    code = "provider_not_shipped"


@transaction.atomic
def note(
    row: Provider | ReplyRule, deed: str, *, operator: User, ip: str | None, now: datetime, **details: Any
) -> None:
    """Write an edit of a row into the audit log, in the transaction that makes it, and let it take effect."""
    thing = "provider" if isinstance(row, Provider) else "reply_rule"
    # The tables belong to no account, so there is no actor of one.
    AuditEntry.objects.create(
        actor=f"operator {operator.email}",
        action=f"{thing}.{deed}",
        target=(row.name or "all others") if isinstance(row, Provider) else row.pattern,
        details=details,
        ip=ip,
        at=now,
    )
    if isinstance(row, Provider):
        # Another provider may be behind mail servers now: domains are looked up again as mail comes to them.
        Destination.objects.filter(expires_at__gt=now).update(expires_at=now)
    transaction.on_commit(shaping.forget, robust=True)


@transaction.atomic
def restore(provider: Provider, *, operator: User, ip: str | None, now: datetime) -> None:
    """Set a provider and its shipped rules back to what is shipped; rules of one's own stay.

    :raises NotShipped: it is the operator's own.
    """
    if not providers.is_shipped(provider.name):
        raise NotShipped(_("This provider is not among those that are shipped."))
    providers.restore(provider, ReplyRule)
    note(provider, "restored", operator=operator, ip=ip, now=now)
