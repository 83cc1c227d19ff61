"""Which role may do what, in one table."""

import pytest
from django.core import mail

from accounts.actors import Actor, NotAllowed
from accounts.models import AuditEntry, Role
from accounts.services import access_keys, accounts, members
from tests.factories import AccessKeyFactory, InvitationFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

SETS_UP = {Role.OWNER, Role.ADMIN}
WORKS = {*SETS_UP, Role.DEVELOPER}


def key(account):
    return AccessKeyFactory(account=account, role=Role.VIEWER)


def viewer(account):
    return MembershipFactory(account=account, role=Role.VIEWER)


DEEDS = {
    "members.invite": (
        SETS_UP,
        lambda account, by, now: members.invite(by=by, email="new@example.com", role=Role.VIEWER, now=now),
    ),
    "members.cancel_invitation": (
        SETS_UP,
        lambda account, by, now: members.cancel_invitation(InvitationFactory(account=account), by=by),
    ),
    "members.change_role": (
        SETS_UP,
        lambda account, by, now: members.change_role(viewer(account), role=Role.ADMIN, by=by),
    ),
    "members.remove": (SETS_UP, lambda account, by, now: members.remove(viewer(account), by=by)),
    "members.leave": (set(Role), lambda account, by, now: members.leave(by=by)),
    "access_keys.create": (
        WORKS,
        lambda account, by, now: access_keys.create(by=by, label="", role=Role.VIEWER, now=now),
    ),
    "access_keys.enable": (
        WORKS,
        lambda account, by, now: access_keys.enable(AccessKeyFactory(account=account, is_active=False), by=by),
    ),
    "access_keys.disable": (WORKS, lambda account, by, now: access_keys.disable(key(account), by=by)),
    "access_keys.delete": (WORKS, lambda account, by, now: access_keys.delete(key(account), by=by)),
    "accounts.change_settings": (
        SETS_UP,
        lambda account, by, now: accounts.change_settings(by=by, name="New name", time_zone="UTC"),
    ),
    "accounts.suspend": (set(), lambda account, by, now: accounts.suspend(by=by)),
    "accounts.resume": (set(), lambda account, by, now: accounts.resume(by=by)),
    "accounts.set_quota": (set(), lambda account, by, now: accounts.set_quota(by=by, daily=1, monthly=1)),
}


@pytest.mark.parametrize("deed", DEEDS)
@pytest.mark.parametrize("role", Role)
def test_role_decides(account, member, deed, role, now):
    allowed, do = DEEDS[deed]
    member(Role.OWNER)
    by = Actor.member(member(role))

    if role in allowed:
        do(account, by, now)
        assert AuditEntry.objects.get().account == account
    else:
        with pytest.raises(NotAllowed):
            do(account, by, now)
        assert not AuditEntry.objects.exists()
        assert not mail.outbox


@pytest.mark.parametrize("role", Role)
def test_an_access_key_may_what_its_role_may(account, role, now):
    by = Actor.access_key(AccessKeyFactory(account=account, role=role))

    if role in SETS_UP:
        accounts.change_settings(by=by, name="New name", time_zone="UTC")
    else:
        with pytest.raises(NotAllowed):
            accounts.change_settings(by=by, name="New name", time_zone="UTC")


def test_operators_may_what_owners_may_not(account):
    operator = Actor.operator(UserFactory(is_staff=True), account)

    accounts.suspend(by=operator)
    accounts.set_quota(by=operator, daily=1, monthly=1)

    account.refresh_from_db()
    assert (account.is_active, account.daily_quota) == (False, 1)
