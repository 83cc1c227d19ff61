from datetime import timedelta

import pytest

from accounts.actors import Actor
from accounts.models import AccessKey, AuditEntry, Role
from accounts.services import access_keys
from tests.factories import AccessKeyFactory

pytestmark = pytest.mark.django_db


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
