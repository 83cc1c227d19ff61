"""Access keys: a program's name and secret."""

import ipaddress
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from hmac import compare_digest
from typing import cast

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import ACCESS_KEY_SECRET_BYTES, AccessKey, Account, Permission, Role, Scope
from mailpush.lib import encryption
from mailpush.lib.brief import Brief
from mailpush.lib.refusals import Refusal
from mailpush.lib.rows import Joined

KEYS_AN_ACCOUNT = 100
NETWORKS_A_KEY = 50
USE_NOTED_EVERY = timedelta(minutes=1)  # a write for each call would cost more than many calls


class RoleTooHigh(Refusal):
    """Nobody hands a program, or takes from it, rights they lack themselves."""

    code = "role_too_high"


class TooManyAccessKeys(Refusal):
    code = "too_many_access_keys"


class BadNetwork(Refusal):
    code = "bad_network"


@transaction.atomic
def create(
    *,
    by: Actor,
    label: str,
    role: Role,
    scopes: Collection[Scope] = (),
    networks: Collection[str] = (),
    now: datetime,
) -> tuple[AccessKey, str]:
    """Return a new key and its secret, which is shown this once.

    :param scopes: what it is restricted to; none means all that its role allows.
    :param networks: addresses and networks it may be used from; none means anywhere.
    :raises RoleTooHigh: the key could do more than who makes it.
    :raises TooManyAccessKeys: the account has KEYS_AN_ACCOUNT.
    :raises BadNetwork: one of the networks is none, or they are too many.
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
        scopes=_in_order(scopes),
        networks=_well_formed(networks),
        created_by=by.user,
        created_at=now,
    )
    audit.record(
        "access_key.created",
        by=by,
        target=key,
        label=key.label,
        role=role,
        scopes=key.scopes,
        networks=key.networks,
    )
    return key, secret


@transaction.atomic
def restrict(key: AccessKey, *, scopes: Collection[Scope], networks: Collection[str], by: Actor) -> None:
    """Change what the key is restricted to, and where it may be used from; none of either restricts nothing.

    :raises RoleTooHigh: the key can do more than who asks.
    :raises BadNetwork: one of the networks is none, or they are too many.
    """
    by.must(Permission.WORK)
    _must_reach(by, key.role)

    before = {"scopes": key.scopes, "networks": key.networks}
    key.scopes, key.networks = _in_order(scopes), _well_formed(networks)
    _known.forget()
    if AccessKey.objects.filter(pk=key.pk).update(scopes=key.scopes, networks=key.networks):
        audit.record(
            "access_key.restricted", by=by, target=key, before=before, scopes=key.scopes, networks=key.networks
        )


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
    _known.forget()
    audit.record("access_key.deleted", by=by, target=key, label=key.label)


FIND = Joined(
    """
    SELECT {key}, {account} FROM accounts_accesskey key JOIN accounts_account account ON account.id = key.account_id
    WHERE key.key_id = %s AND key.is_active
    """,
    key=AccessKey,
    account=Account,
)


def find(key_id: str) -> AccessKey | None:
    """Return the key programs may use under this name, with its account; None also for a disabled one."""
    found = FIND.first(key_id)
    if found is None:
        return None
    key, key.account = found
    return cast("AccessKey", key)


_known = Brief[tuple[AccessKey, bytes]]()


def verify(token: str) -> AccessKey | None:
    """Return the key that a bearer token (`<id>.<secret>`) proves, with its account; None for any other text.

    What is changed about a key takes a second to reach all processes.
    """
    key_id, _dot, secret = token.partition(".")
    if not (key_id.isascii() and key_id.isalnum()):
        return None
    known = _known.of(key_id, lambda: _with_secret(key_id))
    return known[0] if known and compare_digest(known[1], secret.encode("utf-8", "replace")) else None


def _with_secret(key_id: str) -> tuple[AccessKey, bytes] | None:
    key = find(key_id)
    return (key, key.secret.encode()) if key else None


def note_use(key: AccessKey, *, now: datetime) -> None:
    """Remember that the key was used, at most once per USE_NOTED_EVERY."""
    before = now - USE_NOTED_EVERY
    if key.last_used_at is None or key.last_used_at <= before:
        unnoted = Q(last_used_at=None) | Q(last_used_at__lte=before)
        AccessKey.objects.filter(unnoted, pk=key.pk).update(last_used_at=now)
        key.last_used_at = now


def _set_active(key: AccessKey, by: Actor, *, active: bool) -> None:
    by.must(Permission.WORK)
    _must_reach(by, key.role)

    _known.forget()
    if AccessKey.objects.filter(pk=key.pk, is_active=not active).update(is_active=active):
        audit.record("access_key.enabled" if active else "access_key.disabled", by=by, target=key, label=key.label)


def _must_reach(by: Actor, role: str) -> None:
    if not Role(role).permissions <= by.role.permissions:
        raise RoleTooHigh(
            _("The key's role (%(key)s) goes further than yours (%(own)s). Choose a lower one or ask an owner.")
            % {"key": Role(role).label, "own": by.role.label},
            field="role",
        )


def _in_order(scopes: Collection[Scope]) -> list[str]:
    return [scope.value for scope in Scope if scope in scopes]


def _well_formed(networks: Collection[str]) -> list[str]:
    if len(networks) > NETWORKS_A_KEY:
        raise BadNetwork(
            _("An access key has at most %(most)d addresses and networks.") % {"most": NETWORKS_A_KEY},
            field="networks",
        )
    kept = dict[str, None]()
    for text in networks:
        try:
            kept[str(ipaddress.ip_network(text.strip(), strict=False))] = None
        except ValueError as error:
            raise BadNetwork(
                _("“%(text)s” is neither an IP address nor a network such as 192.0.2.0/24.") % {"text": text[:50]},
                field="networks",
            ) from error
    return list(kept)
