"""IP protection: where an account's programs may send from (DirectMail's IP filter)."""

import ipaddress
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account, AllowedAddresses, Permission
from mailpush.lib.refusals import Refusal

RANGES_AN_ACCOUNT = 100

Ip = ipaddress.IPv4Address | ipaddress.IPv6Address


class BadIpRange(Refusal):
    code = "bad_ip_range"


class IpRangeExists(Refusal):
    code = "ip_range_exists"


class TooManyIpRanges(Refusal):
    code = "too_many_ip_ranges"


class NothingAllowed(Refusal):
    """With no address allowed, protection would stop everything."""

    code = "nothing_allowed"


class AddressNotAllowed(Refusal):
    """The account is protected, and the program sits elsewhere."""

    code = "address_not_allowed"


@transaction.atomic
def allow(text: str, *, by: Actor, now: datetime) -> AllowedAddresses:
    """Allow an address, a range `192.0.2.1-192.0.2.9`, or a network `192.0.2.0/24`.

    :raises BadIpRange: it is none of these.
    :raises IpRangeExists: it is allowed already.
    :raises TooManyIpRanges: the account has RANGES_AN_ACCOUNT.
    """
    by.must(Permission.SETUP)
    first, last = _ends(text)
    if by.account.allowed_addresses.count() >= RANGES_AN_ACCOUNT:
        raise TooManyIpRanges(_("An account has at most %(limit)s entries.") % {"limit": RANGES_AN_ACCOUNT})
    row = AllowedAddresses(account=by.account, written=text.strip(), first=str(first), last=str(last), created_at=now)
    try:
        with transaction.atomic():
            row.save()
    except IntegrityError as error:
        raise IpRangeExists(_("%(range)s is allowed already.") % {"range": row}, field="address") from error
    audit.record("ip_protection.allowed", by=by, target=row)
    return row


@transaction.atomic
def forbid(row: AllowedAddresses, *, by: Actor) -> None:
    """Take an entry off the list.

    :raises NothingAllowed: it is the last one of a protected account.
    """
    by.must(Permission.SETUP)
    account = Account.objects.select_for_update(no_key=True).get(pk=by.account.pk)
    if account.is_ip_protected and not account.allowed_addresses.exclude(pk=row.pk).exists():
        raise _nothing_allowed()
    account.allowed_addresses.filter(pk=row.pk).delete()
    audit.record("ip_protection.forbidden", by=by, target=row)


@transaction.atomic
def protect(*, is_on: bool, by: Actor) -> None:
    """Switch the protection on or off.

    :raises NothingAllowed: it would stop everything.
    """
    by.must(Permission.SETUP)
    account = Account.objects.select_for_update(no_key=True).get(pk=by.account.pk)
    if is_on and not account.allowed_addresses.exists():
        raise _nothing_allowed()
    if account.is_ip_protected != is_on:
        Account.objects.filter(pk=account.pk).update(is_ip_protected=is_on)
        audit.record("ip_protection.on" if is_on else "ip_protection.off", by=by, target=account)


def must_be_allowed(account: Account, ip: str | None) -> None:
    """Refuse to take mail from a program at an address that is not allowed.

    :raises AddressNotAllowed: the account is protected, and the address is not on its list.
    """
    if not account.is_ip_protected:
        return
    # The account in hand may be a moment old; who has just switched the protection off is not to be refused.
    if not Account.objects.filter(pk=account.pk, is_ip_protected=True).exists():
        return
    if not is_listed(account, ip):
        raise AddressNotAllowed(
            _("%(ip)s is not among the addresses that this account may send from (IP protection).") % {"ip": ip or "?"}
        )


def is_listed(account: Account, ip: str | None) -> bool:
    """Return whether the address is on the account's list, protected or not."""
    peer = _parsed(ip or "")
    return peer is not None and account.allowed_addresses.filter(first__lte=str(peer), last__gte=str(peer)).exists()


def _ends(text: str) -> tuple[Ip, Ip]:
    """Return first and last address of what is written."""
    written = text.strip()
    try:
        if "/" in written:
            network = ipaddress.ip_network(written, strict=False)
            return network[0], network[-1]
        head, dash, tail = written.partition("-")
        first = ipaddress.ip_address(head.strip())
        last = ipaddress.ip_address(tail.strip()) if dash else first
    except ValueError as error:
        raise _bad_range(written) from error
    if first.version != last.version or int(first) > int(last):
        raise _bad_range(written)
    return first, last


def _bad_range(written: str) -> BadIpRange:
    return BadIpRange(
        _("“%(text)s” is no address, range (192.0.2.1-192.0.2.9) or network (192.0.2.0/24).") % {"text": written[:80]},
        field="address",
    )


def _parsed(text: str) -> Ip | None:
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return mapped or found


def _nothing_allowed() -> NothingAllowed:
    return NothingAllowed(
        _("With IP protection on, an empty list would stop all sending. Add the addresses of your programs first.")
    )
