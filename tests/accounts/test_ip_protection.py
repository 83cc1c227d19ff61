import pytest

from accounts.actors import Actor, NotAllowed
from accounts.models import Account, AuditEntry, Role
from accounts.services import ip_protection
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def allow(actor, now):
    return lambda text: ip_protection.allow(text, by=actor, now=now)


def protected(actor):
    ip_protection.protect(is_on=True, by=actor)
    return Account.objects.get(pk=actor.account.pk)


@pytest.mark.parametrize(
    ("text", "inside", "outside"),
    [
        ("192.0.2.1", ["192.0.2.1", "::ffff:192.0.2.1"], ["192.0.2.2", "2001:db8::1", "", None, "nonsense"]),
        ("192.0.2.1 - 192.0.2.9", ["192.0.2.1", "192.0.2.5", "192.0.2.9"], ["192.0.2.10"]),
        ("192.0.2.9/24", ["192.0.2.0", "192.0.2.255"], ["192.0.3.0"]),
        ("2001:db8::/32", ["2001:db8::1"], ["2001:db9::1", "192.0.2.1"]),
    ],
)
def test_addresses_ranges_and_networks(allow, actor, text, inside, outside):
    allow(text)
    account = protected(actor)

    for ip in inside:
        ip_protection.must_be_allowed(account, ip)
    for ip in outside:
        with pytest.raises(ip_protection.AddressNotAllowed):
            ip_protection.must_be_allowed(account, ip)


@pytest.mark.parametrize(
    "text", ["", "x", "192.0.2.1-", "192.0.2.9-192.0.2.1", "192.0.2.1-2001:db8::1", "192.0.2.0/33"]
)
def test_other_texts_are_refused(allow, text):
    with pytest.raises(ip_protection.BadIpRange):
        allow(text)


def test_the_same_entry_twice_and_too_many_are_refused(allow, monkeypatch):
    allow("192.0.2.0/24")
    with pytest.raises(ip_protection.IpRangeExists):
        allow("192.0.2.0-192.0.2.255")

    monkeypatch.setattr(ip_protection, "RANGES_AN_ACCOUNT", 1)
    with pytest.raises(ip_protection.TooManyIpRanges):
        allow("192.0.2.1")


def test_nothing_allowed_would_stop_everything(allow, actor):
    with pytest.raises(ip_protection.NothingAllowed):
        ip_protection.protect(is_on=True, by=actor)
    entry = allow("192.0.2.1")
    protected(actor)

    with pytest.raises(ip_protection.NothingAllowed):
        ip_protection.forbid(entry, by=actor)

    ip_protection.protect(is_on=False, by=actor)
    ip_protection.forbid(entry, by=actor)
    assert not actor.account.allowed_addresses.exists()


def test_without_protection_anything_goes_and_switching_twice_is_noted_once(allow, actor):
    ip_protection.must_be_allowed(actor.account, "198.51.100.1")
    allow("192.0.2.1")
    protected(actor)
    protected(actor)

    assert AuditEntry.objects.filter(action="ip_protection.on").count() == 1


def test_developers_do_not_change_it(account, now):
    developer = Actor.member(MembershipFactory(account=account, role=Role.DEVELOPER))

    with pytest.raises(NotAllowed):
        ip_protection.allow("192.0.2.1", by=developer, now=now)
    with pytest.raises(NotAllowed):
        ip_protection.protect(is_on=False, by=developer)
