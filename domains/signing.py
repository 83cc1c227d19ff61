"""The DKIM key that signs a domain's mail, for the delivery engine."""

import time
from functools import lru_cache

from domains.models import DkimKey, Domain

BELIEVED_FOR = 60  # seconds a process keeps a key without asking again
KEYS_KEPT = 1_000


def active_key(domain: Domain) -> tuple[str, bytes]:
    """Return the selector and the private key (PEM).

    :raises DkimKey.DoesNotExist: the domain has no key in use.
    """
    return _key(domain.pk, int(time.monotonic() // BELIEVED_FOR))


@lru_cache(maxsize=KEYS_KEPT)
def _key(domain_id: int, _minute: int) -> tuple[str, bytes]:
    """`_minute` makes a new entry, and so a new look, once in a while."""
    key = DkimKey.objects.get(domain=domain_id, retired_at=None)
    return key.selector, key.private_key.encode()
