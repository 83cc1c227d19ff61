import pytest
from django.urls import reverse

from accounts.actors import Actor, NotAllowed
from accounts.models import Account, AllowedAddresses, AuditEntry, Role
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


# The page

PAGE = reverse("accounts:ip-protection")
ALLOW = reverse("accounts:ip-protection-allow")
SWITCH = reverse("accounts:ip-protection-switch")


def told(answer):
    return [str(message) for message in answer.context["messages"]]


def test_the_page_says_what_to_do_and_cannot_be_switched_on_without_an_address(owner_client):
    assert "No addresses yet" in owner_client.get(PAGE).text

    answer = owner_client.post(SWITCH, {"on": "1"}, follow=True)

    assert "an empty list would stop all sending" in told(answer)[0]
    assert not Account.objects.get(pk=owner_client.account.pk).is_ip_protected


def test_an_address_is_allowed_and_the_protection_switched_on_and_off(owner_client):
    added = owner_client.post(ALLOW, {"address": "127.0.0.0/8"}, follow=True)
    on = owner_client.post(SWITCH, {"on": "1"}, follow=True)

    assert told(added) == ["127.0.0.0/8 is on the list."]
    assert told(on) == ["IP protection is on: mail is taken from the list alone."]
    assert "which is not on the list" not in on.text
    assert Account.objects.get(pk=owner_client.account.pk).is_ip_protected
    assert told(owner_client.post(SWITCH, {}, follow=True)) == ["IP protection is off."]
    assert not Account.objects.get(pk=owner_client.account.pk).is_ip_protected
    actions = AuditEntry.objects.order_by("pk").values_list("action", "ip")
    assert list(actions) == [
        ("ip_protection.allowed", "127.0.0.1"),
        ("ip_protection.on", "127.0.0.1"),
        ("ip_protection.off", "127.0.0.1"),
    ]


def test_who_is_not_on_the_list_is_warned(owner_client):
    owner_client.post(ALLOW, {"address": "192.0.2.1"})
    before = owner_client.get(PAGE).text
    owner_client.post(SWITCH, {"on": "1"})
    after = owner_client.get(PAGE).text

    assert "Your own, 127.0.0.1, is not on it." in before
    assert "You are at 127.0.0.1, which is not on the list" in after


@pytest.mark.parametrize("text", ["nonsense", "192.0.2.0/33", ""])
def test_what_is_no_address_is_refused_at_the_field(owner_client, text):
    answer = owner_client.post(ALLOW, {"address": text})

    assert answer.context["form"].errors["address"]
    assert not AllowedAddresses.objects.exists()


def test_an_entry_is_removed_but_the_last_of_a_protected_account_stays(owner_client):
    for address in ("192.0.2.1", "192.0.2.2"):
        owner_client.post(ALLOW, {"address": address})
    owner_client.post(SWITCH, {"on": "1"})
    first, last = AllowedAddresses.objects.order_by("pk")

    gone = owner_client.post(reverse("accounts:ip-protection-remove", args=[first.pk]), follow=True)
    kept = owner_client.post(reverse("accounts:ip-protection-remove", args=[last.pk]), follow=True)

    assert 'data-confirm="Remove 192.0.2.2? Programs there are refused from then on."' in gone.text
    assert told(gone)[-1] == "192.0.2.1 is off the list."
    assert "an empty list would stop all sending" in told(kept)[0]
    assert list(AllowedAddresses.objects.all()) == [last]


def test_members_without_the_right_look_only(member, client_of, allow):
    client = client_of(member(Role.DEVELOPER))
    row = allow("192.0.2.1")

    assert "192.0.2.1" in client.get(PAGE).text
    assert "<form" not in client.get(PAGE).text.partition("<main")[2].partition("</main>")[0]
    assert client.post(SWITCH, {"on": "1"}).status_code == 403
    assert client.post(reverse("accounts:ip-protection-remove", args=[row.pk])).status_code == 403
    assert client.post(ALLOW, {"address": "192.0.2.2"}).status_code == 403
    assert list(AllowedAddresses.objects.all()) == [row]


def test_entries_of_strangers_are_not_found(owner_client, stranger, now):
    theirs = ip_protection.allow("192.0.2.1", by=stranger, now=now)

    assert "192.0.2.1<" not in owner_client.get(PAGE).text
    assert owner_client.post(reverse("accounts:ip-protection-remove", args=[theirs.pk])).status_code == 404


def test_settings_show_whether_it_is_on(owner_client):
    assert f'href="{PAGE}"' in owner_client.get(reverse("accounts:settings")).text
