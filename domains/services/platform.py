"""The domain the platform's own mail comes from: the host of MAILPUSH_PUBLIC_URL."""

from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts.models import Account
from domains.models import Domain
from domains.services.domains import add_key
from mailpush.mail import dkim


def platform_domain(*, now: datetime) -> Domain:
    """Return it, made on first use; any number of processes may ask at once.

    Nobody proves it by DNS, so it counts as verified and is never checked. When the public URL
    changes, another row is made.
    """
    account, _is_new = Account.objects.get_or_create(is_platform=True, defaults={"name": "mailpush", "created_at": now})
    domain, _is_new = Domain.objects.get_or_create(
        account=account,
        name=settings.PUBLIC_HOST,
        deleted_at=None,
        defaults={
            "status": Domain.Status.VERIFIED,
            "created_at": now,
            "verified_at": now,
            "next_check_at": None,
        },
    )
    if not domain.dkim_keys.filter(retired_at=None).exists():
        _add_key(domain, now=now)
    return domain


def _add_key(domain: Domain, *, now: datetime) -> None:
    private_key = dkim.generate_key()
    try:
        with transaction.atomic():
            add_key(domain, private_key, now=now)
    except IntegrityError:  # dkim_one_key_in_use: another process was quicker
        return
