from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from allauth.account.models import EmailAddress
from django.core import mail
from django.db import connection

from accounts.actors import Actor
from accounts.models import AuditEntry, Invitation, Membership, Role
from accounts.services import members
from tests.factories import InvitationFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def actions(account):
    return list(AuditEntry.objects.filter(account=account).order_by("pk").values_list("action", flat=True))


# Invitations


def test_invitation_is_mailed_with_a_link_that_names_it(actor, now, settings):
    settings.MAILPUSH_PUBLIC_URL = "https://push.example"

    invitation = members.invite(by=actor, email=" New@Example.com ", role=Role.DEVELOPER, now=now)

    (message,) = mail.outbox
    link = members.link(invitation)
    assert message.to == ["new@example.com"]
    assert message.subject == "You are invited to Example Ltd"
    assert link in message.body
    assert link.startswith("https://push.example/console/account/invitations/")
    assert members.invitation_of(link.rstrip("/").rpartition("/")[2]) == invitation
    assert invitation.expires_at == now + timedelta(days=7)
    assert actions(actor.account) == ["member.invited"]


def test_link_that_is_not_ours_names_no_invitation(actor, now):
    invitation = members.invite(by=actor, email="new@example.com", role=Role.VIEWER, now=now)
    token = members.link(invitation).rstrip("/").rpartition("/")[2]

    assert members.invitation_of(token[:-1] + ("a" if token[-1] != "a" else "b")) is None
    assert members.invitation_of("x") is None


def test_inviting_again_renews_the_invitation(actor, now):
    members.invite(by=actor, email="new@example.com", role=Role.VIEWER, now=now)
    later = now + timedelta(days=3)

    members.invite(by=actor, email="NEW@example.com", role=Role.ADMIN, now=later)

    invitation = Invitation.objects.get()
    assert (invitation.role, invitation.expires_at) == (Role.ADMIN, later + timedelta(days=7))
    assert len(mail.outbox) == 2


def test_inviting_twice_in_a_row_sends_one_mail(actor, now):
    members.invite(by=actor, email="new@example.com", role=Role.VIEWER, now=now)

    with pytest.raises(members.InvitedJustNow):
        members.invite(by=actor, email="new@example.com", role=Role.VIEWER, now=now + timedelta(minutes=9))

    assert len(mail.outbox) == 1


def test_a_member_is_not_invited(actor, now):
    with pytest.raises(members.AlreadyMember) as refused:
        members.invite(by=actor, email=actor.user.email.upper(), role=Role.VIEWER, now=now)

    assert refused.value.field == "email"


def test_member_of_another_account_can_be_invited(actor, stranger, now):
    members.invite(by=actor, email=stranger.user.email, role=Role.VIEWER, now=now)

    assert actor.account.invitations.count() == 1
    assert stranger.account.invitations.count() == 0


def test_open_invitations_are_limited(actor, now, monkeypatch):
    monkeypatch.setattr(members, "OPEN_INVITATIONS", 1)
    members.invite(by=actor, email="one@example.com", role=Role.VIEWER, now=now)

    with pytest.raises(members.TooManyInvitations):
        members.invite(by=actor, email="two@example.com", role=Role.VIEWER, now=now)


def test_canceled_invitation_is_gone(actor):
    invitation = InvitationFactory(account=actor.account)
    token = members.link(invitation).rstrip("/").rpartition("/")[2]

    members.cancel_invitation(invitation, by=actor)

    assert members.invitation_of(token) is None
    assert actions(actor.account) == ["member.invitation_canceled"]


def test_accepting_makes_a_member(account, now):
    user = UserFactory()
    invitation = InvitationFactory(account=account, email=user.email, role=Role.ADMIN)

    membership = members.accept(invitation, user=user, now=now)

    assert (membership.account, membership.user, membership.role) == (account, user, Role.ADMIN)
    assert not Invitation.objects.exists()
    assert actions(account) == ["member.joined"]


def test_invitation_is_for_who_proved_its_address(account, now):
    user = UserFactory(verified=False)
    invitation = InvitationFactory(account=account, email=user.email)

    with pytest.raises(members.InvitationForAnother):
        members.accept(invitation, user=user, now=now)
    with pytest.raises(members.InvitationForAnother):
        members.accept(invitation, user=UserFactory(), now=now)

    assert not account.memberships.exists()


def test_expired_invitation_makes_nobody_a_member(account, now):
    user = UserFactory()
    invitation = InvitationFactory(account=account, email=user.email, expires_at=now)

    with pytest.raises(members.InvitationExpired):
        members.accept(invitation, user=user, now=now)


def test_accepting_never_changes_the_role_of_a_member(account, owner, now):
    invitation = InvitationFactory(account=account, email=owner.user.email, role=Role.VIEWER)

    members.accept(invitation, user=owner.user, now=now)

    owner.refresh_from_db()
    assert owner.role == Role.OWNER


# A place for who proved an address


def test_settling_opens_an_account_for_who_is_not_invited(now):
    user = UserFactory(email="jo@shop.example", time_zone="Asia/Shanghai")

    members.settle(user, now=now)
    members.settle(user, now=now)

    membership = user.memberships.get()
    assert membership.role == Role.OWNER
    assert (membership.account.name, membership.account.time_zone) == ("jo@shop.example", "Asia/Shanghai")


def test_settling_accepts_invitations_instead_of_opening_an_account(account, stranger, now):
    user = UserFactory()
    InvitationFactory(account=account, email=user.email, role=Role.VIEWER)
    InvitationFactory(account=stranger.account, email="other@example.com")

    members.settle(user, now=now)

    membership = user.memberships.get()
    assert (membership.account, membership.role) == (account, Role.VIEWER)


def test_settling_ignores_invitations_to_addresses_the_user_has_not_proved(account, now):
    user = UserFactory()
    EmailAddress.objects.create(user=user, email="boss@example.com", verified=False)
    InvitationFactory(account=account, email="boss@example.com", role=Role.OWNER)

    members.settle(user, now=now)

    assert not account.memberships.exists()


def test_settling_ignores_expired_invitations(account, now):
    user = UserFactory()
    InvitationFactory(account=account, email=user.email, expires_at=now)

    members.settle(user, now=now)

    assert user.memberships.get().account != account


# Roles, leaving, removing


def test_role_is_changed(actor, member):
    membership = member(Role.VIEWER)

    members.change_role(membership, role=Role.ADMIN, by=actor)

    membership.refresh_from_db()
    assert membership.role == Role.ADMIN
    entry = AuditEntry.objects.get()
    assert entry.details == {"before": "viewer", "after": "admin"}


def test_the_last_owner_stays(actor, owner):
    with pytest.raises(members.LastOwner):
        members.change_role(owner, role=Role.ADMIN, by=actor)
    with pytest.raises(members.LastOwner):
        members.remove(owner, by=actor)
    with pytest.raises(members.LastOwner):
        members.leave(by=actor)

    owner.refresh_from_db()
    assert owner.role == Role.OWNER


def test_the_owner_of_another_account_does_not_count(actor, owner, stranger):
    MembershipFactory(user=owner.user, account=stranger.account, role=Role.OWNER)

    with pytest.raises(members.LastOwner):
        members.leave(by=actor)


@pytest.mark.django_db(transaction=True)
def test_of_owners_who_leave_at_once_one_stays(account, member):
    actors = [Actor.member(member(Role.OWNER)) for _ in range(6)]

    def leave(actor):
        try:
            members.leave(by=actor)
        except members.LastOwner:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(6) as threads:
        assert sorted(threads.map(leave, actors)) == [False, *[True] * 5]

    assert account.memberships.count() == 1


def test_one_of_two_owners_can_leave(actor, member):
    member(Role.OWNER)

    members.leave(by=actor)

    assert not Membership.objects.filter(account=actor.account, user=actor.user).exists()
    assert actions(actor.account) == ["member.left"]


def test_removed_member_is_gone_and_written_down(actor, member):
    membership = member(Role.DEVELOPER)

    members.remove(membership, by=actor)

    assert not Membership.objects.filter(pk=membership.pk).exists()
    assert AuditEntry.objects.get().target == membership.user.email


def test_administrators_do_not_reach_owners(member, now):
    owner, administrator, developer = member(Role.OWNER), member(Role.ADMIN), member(Role.DEVELOPER)
    by = Actor.member(administrator)
    invitation = InvitationFactory(account=owner.account, role=Role.OWNER)

    for deed in (
        lambda: members.invite(by=by, email="new@example.com", role=Role.OWNER, now=now),
        lambda: members.cancel_invitation(invitation, by=by),
        lambda: members.change_role(owner, role=Role.VIEWER, by=by),
        lambda: members.change_role(developer, role=Role.OWNER, by=by),
        lambda: members.change_role(administrator, role=Role.OWNER, by=by),
        lambda: members.remove(owner, by=by),
    ):
        with pytest.raises(members.OwnersOnly):
            deed()

    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize("role", [Role.ADMIN, Role.DEVELOPER, Role.VIEWER])
def test_everybody_but_the_last_owner_may_leave(member, role):
    member(Role.OWNER)
    membership = member(role)

    members.leave(by=Actor.member(membership))

    assert not Membership.objects.filter(pk=membership.pk).exists()
