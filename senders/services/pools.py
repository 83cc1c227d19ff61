"""Dedicated source addresses of an account, and the pools it sorts them into.

The operator dedicates addresses of the machine to an account by MAILPUSH_SOURCE_IPS: `account-7=192.0.2.9` is account
7's own.
"""

import re
from collections.abc import Sequence
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account, Permission
from mailpush.lib.refusals import Refusal
from senders.models import POOL_LENGTH, SourcePool

NAME = re.compile(rf"[A-Za-z0-9_-]{{1,{POOL_LENGTH}}}")


class BadPoolName(Refusal):
    code = "bad_pool_name"


class PoolExists(Refusal):
    code = "pool_exists"


class AddressNotDedicated(Refusal):
    """It is none of the account's own, or in another of its pools."""

    code = "address_not_dedicated"


class PoolInUse(Refusal):
    """A configuration set sends through it."""

    code = "pool_in_use"


def dedicated(account: Account) -> list[str]:
    """Return the account's own source addresses, as the operator has them in the settings."""
    return list(settings.MAILPUSH_SOURCE_IPS.get(f"account-{account.pk}", []))


def unpooled(account: Account) -> list[str]:
    """Return those that are in no pool."""
    pooled = {ip for pool in SourcePool.objects.for_account(account) for ip in pool.ips}
    return [ip for ip in dedicated(account) if ip not in pooled]


@transaction.atomic
def create(*, name: str, ips: Sequence[str], by: Actor, now: datetime) -> SourcePool:
    """Make a pool of dedicated addresses; it may be empty at first.

    :raises BadPoolName: not 1 to 50 letters, digits, `_` and `-`.
    :raises PoolExists: the account has one of this name.
    :raises AddressNotDedicated: see `change`.
    """
    by.must(Permission.SETUP)
    if not NAME.fullmatch(name):
        raise BadPoolName(
            _("A pool's name has 1 to %(limit)s letters, digits, “_” and “-”.") % {"limit": POOL_LENGTH}, field="name"
        )
    pool = SourcePool(account=by.account, name=name, ips=_own(ips, by.account), created_at=now)
    try:
        with transaction.atomic():
            pool.save()
    except IntegrityError as error:
        raise PoolExists(_("You have a pool “%(name)s” already.") % {"name": name}, field="name") from error
    audit.record("pool.created", by=by, target=pool, ips=pool.ips)
    return pool


@transaction.atomic
def change(pool: SourcePool, *, ips: Sequence[str], by: Actor) -> None:
    """Put other addresses into the pool.

    :raises AddressNotDedicated: one is none of the account's own, or in another of its pools.
    """
    by.must(Permission.SETUP)
    pool.ips = _own(ips, by.account, except_for=pool)
    pool.save(update_fields=["ips"])
    audit.record("pool.changed", by=by, target=pool, ips=pool.ips)


@transaction.atomic
def delete(pool: SourcePool, *, by: Actor) -> None:
    """Dissolve a pool; its addresses are in none then.

    :raises PoolInUse: a configuration set names it.
    """
    by.must(Permission.SETUP)
    if pool.config_sets.exists():
        raise PoolInUse(_("A configuration set uses the pool %(name)s. Change that first.") % {"name": pool})
    pool.delete()
    audit.record("pool.deleted", by=by, target=pool.name)


def _own(ips: Sequence[str], account: Account, *, except_for: SourcePool | None = None) -> list[str]:
    free = {*unpooled(account), *(except_for.ips if except_for else [])} & set(dedicated(account))
    wanted = list(dict.fromkeys(ips))
    if foreign := [ip for ip in wanted if ip not in free]:
        raise AddressNotDedicated(
            _("%(ips)s: not one of your dedicated addresses, or in another pool.") % {"ips": ", ".join(foreign)[:200]},
            field="ips",
        )
    return wanted
