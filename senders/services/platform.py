"""The sender of the platform's own mail: verification, password reset, review results, warnings."""

from django.conf import settings
from django.utils import timezone

from domains.services.platform import platform_domain
from senders.models import Sender, Stream

ACCOUNT_PART = "no-reply"


def platform_sender() -> Sender:
    """Return `no-reply@<host of the public URL>`, made on first use; any number of processes may ask at once."""
    address = f"{ACCOUNT_PART}@{settings.PUBLIC_HOST}"
    existing = Sender.objects.select_related("account", "domain").filter(
        account__is_platform=True, address=address, deleted_at=None
    )
    return existing.first() or _make(address)


def _make(address: str) -> Sender:
    now = timezone.now()
    domain = platform_domain(now=now)
    sender, _is_new = Sender.objects.select_related("account", "domain").get_or_create(
        account=domain.account,
        address=address,
        deleted_at=None,
        defaults={"domain": domain, "stream": Stream.TRIGGER, "created_at": now},
    )
    return sender
