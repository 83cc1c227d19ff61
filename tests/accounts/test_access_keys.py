from datetime import timedelta

import pytest
from django.urls import reverse

from accounts.actors import Actor
from accounts.models import AccessKey, AuditEntry, Role, Scope
from accounts.services import access_keys
from tests.factories import AccessKeyFactory

pytestmark = pytest.mark.django_db
KEYS = reverse("accounts:access-keys")


def test_secret_is_returned_once_and_stored_encrypted(actor, now):
    key, secret = access_keys.create(by=actor, label=" Shop ", role=Role.DEVELOPER, now=now)

    stored = AccessKey.objects.get()
    assert len(secret) >= 40
    assert secret not in stored.encrypted_secret
    assert stored.secret == secret
    assert (stored.label, stored.role, stored.account, stored.created_by) == (
        "Shop",
        Role.DEVELOPER,
        actor.account,
        actor.user,
    )
    entry = AuditEntry.objects.get()
    assert (entry.action, entry.target) == ("access_key.created", key.key_id)
    assert secret not in str(entry.details)


def test_an_account_has_several_keys_with_names_of_their_own(actor, now):
    first, first_secret = access_keys.create(by=actor, label="", role=Role.DEVELOPER, now=now)
    second, second_secret = access_keys.create(by=actor, label="", role=Role.DEVELOPER, now=now)

    assert first.key_id != second.key_id
    assert first_secret != second_secret


def test_keys_of_an_account_are_limited(actor, stranger, now, monkeypatch):
    monkeypatch.setattr(access_keys, "KEYS_AN_ACCOUNT", 1)
    access_keys.create(by=actor, label="", role=Role.DEVELOPER, now=now)

    with pytest.raises(access_keys.TooManyAccessKeys):
        access_keys.create(by=actor, label="", role=Role.DEVELOPER, now=now)
    access_keys.create(by=stranger, label="", role=Role.DEVELOPER, now=now)


@pytest.mark.parametrize("creator", [Role.OWNER, Role.ADMIN, Role.DEVELOPER])
@pytest.mark.parametrize("role", Role)
def test_a_key_goes_no_further_than_its_creator(member, creator, role, now):
    by = Actor.member(member(creator))

    if role.permissions <= creator.permissions:
        key, _secret = access_keys.create(by=by, label="", role=role, now=now)
        assert Actor.access_key(key).role == role
    else:
        with pytest.raises(access_keys.RoleTooHigh):
            access_keys.create(by=by, label="", role=role, now=now)


def test_a_developer_does_not_touch_an_administrators_key(member, account):
    by = Actor.member(member(Role.DEVELOPER))
    key = AccessKeyFactory(account=account, role=Role.ADMIN)

    for deed in (access_keys.disable, access_keys.enable, access_keys.delete):
        with pytest.raises(access_keys.RoleTooHigh):
            deed(key, by=by)

    key.refresh_from_db()
    assert key.is_active


def test_disabled_key_is_not_found_until_enabled(actor):
    key = AccessKeyFactory(account=actor.account)
    assert access_keys.find(key.key_id) == key

    access_keys.disable(key, by=actor)
    assert access_keys.find(key.key_id) is None
    access_keys.disable(key, by=actor)

    access_keys.enable(key, by=actor)
    assert access_keys.find(key.key_id) == key
    assert list(AuditEntry.objects.order_by("pk").values_list("action", flat=True)) == [
        "access_key.disabled",
        "access_key.enabled",
    ]


def test_deleted_key_is_not_found(actor):
    key = AccessKeyFactory(account=actor.account)
    key_id = key.key_id

    access_keys.delete(key, by=actor)

    assert access_keys.find(key_id) is None
    assert AuditEntry.objects.get().target == key_id


def test_finding_a_key_brings_its_account_in_one_query(django_assert_num_queries):
    key_id = AccessKeyFactory().key_id

    with django_assert_num_queries(1):
        found = access_keys.find(key_id)
        assert found.account.name
    assert access_keys.find("MPUNKNOWN") is None


def test_use_is_noted_once_a_minute(now, django_assert_num_queries):
    key = AccessKeyFactory()

    access_keys.note_use(key, now=now)
    key.refresh_from_db()
    assert key.last_used_at == now

    with django_assert_num_queries(0):
        access_keys.note_use(key, now=now + timedelta(seconds=59))
    access_keys.note_use(key, now=now + timedelta(seconds=60))
    key.refresh_from_db()
    assert key.last_used_at == now + timedelta(seconds=60)


# Restrictions


def test_a_key_is_restricted_when_it_is_made(actor, now):
    key, _secret = access_keys.create(
        by=actor,
        label="",
        role=Role.DEVELOPER,
        scopes=[Scope.LISTS, Scope.SEND],
        networks=[" 192.0.2.7/24 ", "2001:DB8::1", "192.0.2.0/24"],
        now=now,
    )

    assert key.scopes == ["messages.send", "lists"]
    assert key.networks == ["192.0.2.0/24", "2001:db8::1/128"]
    assert key.reaches(Scope.SEND)
    assert not key.reaches(Scope.MESSAGES)
    assert AuditEntry.objects.get().details["networks"] == key.networks


def test_restrictions_change_at_once(actor, member, account):
    key = AccessKeyFactory(account=account, role=Role.ADMIN)
    token = f"{key.key_id}.{key.secret}"
    assert access_keys.verify(token).scopes == []

    access_keys.restrict(key, scopes=[Scope.DOMAINS], networks=["10.0.0.0/8"], by=actor)

    assert (access_keys.verify(token).scopes, access_keys.verify(token).networks) == (["domains"], ["10.0.0.0/8"])
    with pytest.raises(access_keys.RoleTooHigh):
        access_keys.restrict(key, scopes=[], networks=[], by=Actor.member(member(Role.DEVELOPER)))


@pytest.mark.parametrize("networks", [["nowhere"], ["10.0.0.0/33"], ["10.0.0.1"] * (access_keys.NETWORKS_A_KEY + 1)])
def test_networks_are_networks(actor, now, networks):
    with pytest.raises(access_keys.BadNetwork):
        access_keys.create(by=actor, label="", role=Role.DEVELOPER, networks=networks, now=now)


@pytest.mark.parametrize("token", ["", ".", "MP0.", "MP0", "é.x", "MP\0.x", "MP0123.\ud800"])
def test_other_texts_prove_nothing(token):
    assert access_keys.verify(token) is None


def test_a_key_is_made_and_restricted_on_its_pages(owner_client):
    page = owner_client.post(KEYS, {"label": "Shop", "role": "developer", "scopes": ["lists"], "networks": "10.0.0.1"})
    key = AccessKey.objects.get()
    assert f"Bearer {key.key_id}.{key.secret}" in page.content.decode()
    assert (key.scopes, key.networks) == (["lists"], ["10.0.0.1/32"])
    url = reverse("accounts:access-key", args=[key.pk])
    assert "10.0.0.1/32" in owner_client.get(url).content.decode()

    wrong = owner_client.post(url, {"scopes": ["lists"], "networks": "nowhere"})
    done = owner_client.post(url, {"scopes": ["domains"], "networks": "10.0.0.0/8, 192.0.2.1"}, follow=True)

    key.refresh_from_db()
    assert "“nowhere” is neither an IP address nor a network" in wrong.content.decode()
    assert (key.scopes, key.networks) == (["domains"], ["10.0.0.0/8", "192.0.2.1/32"])
    assert "only for: domains" in done.content.decode()


def test_another_accounts_key_has_no_page(owner_client):
    assert owner_client.get(reverse("accounts:access-key", args=[AccessKeyFactory().pk])).status_code == 404
