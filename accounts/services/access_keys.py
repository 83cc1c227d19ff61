"""Access keys: a program's name and secret."""

import secrets
from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import ACCESS_KEY_SECRET_BYTES, AccessKey, Permission, Role
from mailpush.lib import encryption
from mailpush.lib.refusals import Refusal

KEYS_AN_ACCOUNT = 100
USE_NOTED_EVERY = timedelta(minutes=1)  # a write for each call would cost more than many calls


class RoleTooHigh(Refusal):
    """Nobody hands a program, or takes from it, rights they lack themselves."""

    code = "role_too_high"


class TooManyAccessKeys(Refusal):
    code = "too_many_access_keys"


@transaction.atomic
def create(*, by: Actor, label: str, role: Role, now: datetime) -> tuple[AccessKey, str]:
    """Return a new key and its secret, which is shown this once.

    :raises RoleTooHigh: the key could do more than who makes it.
    :raises TooManyAccessKeys: the account has KEYS_AN_ACCOUNT.
    """
    by.must(Permission.WORK)
    _must_reach(by, role)
    if by.account.access_keys.count() >= KEYS_AN_ACCOUNT:
        raise TooManyAccessKeys(
            _("An account has at most %(limit)s access keys. Delete one that is no longer used.")
            % {"limit": KEYS_AN_ACCOUNT}
        )

    secret = secrets.token_urlsafe(ACCESS_KEY_SECRET_BYTES)
    key = AccessKey.objects.create(
        account=by.account,
        encrypted_secret=encryption.encrypt(secret),
        label=label.strip(),
        role=role,
        created_by=by.user,
        created_at=now,
    )
    audit.record("access_key.created", by=by, target=key, label=key.label, role=role)
    return key, secret


@transaction.atomic
def enable(key: AccessKey, *, by: Actor) -> None:
    """Let programs use the key again.

    :raises RoleTooHigh: the key can do more than who asks.
    """
    _set_active(key, by, active=True)


@transaction.atomic
def disable(key: AccessKey, *, by: Actor) -> None:
    """Refuse every call with the key from now on.

    :raises RoleTooHigh: the key can do more than who asks.
    """
    _set_active(key, by, active=False)


@transaction.atomic
def delete(key: AccessKey, *, by: Actor) -> None:
    """Forget the key for good.

    :raises RoleTooHigh: the key can do more than who asks.
    """
    by.must(Permission.WORK)
    _must_reach(by, key.role)

    key.delete()
    audit.record("access_key.deleted", by=by, target=key, label=key.label)


def find(key_id: str) -> AccessKey | None:
    """Return the key programs may use under this name, with its account; None also for a disabled one."""
    return AccessKey.objects.select_related("account").filter(key_id=key_id, is_active=True).first()


def note_use(key: AccessKey, *, now: datetime) -> None:
    """Remember that the key was used, at most once per USE_NOTED_EVERY."""
    before = now - USE_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at <= before:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lte=before)
        AccessKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)


def _set_active(key: AccessKey, by: Actor, *, active: bool) -> None:
    by.must(Permission.WORK)
    _must_reach(by, key.role)

    if AccessKey.objects.filter(pk=key.pk, is_active=not active).update(is_active=active):
        audit.record("access_key.enabled" if active else "access_key.disabled", by=by, target=key, label=key.label)


def _must_reach(by: Actor, role: str) -> None:
    if not Role(role).permissions <= by.role.permissions:
        raise RoleTooHigh(
            _("The key's role (%(key)s) goes further than yours (%(own)s). Choose a lower one or ask an owner.")
            % {"key": Role(role).label, "own": by.role.label},
            field="role",
        )
