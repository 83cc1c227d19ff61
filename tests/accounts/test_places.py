"""Users with several accounts, with none, and with an invitation."""

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import Membership, Role
from accounts.services import members
from tests.factories import AccountFactory, InvitationFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def url(name, *args):
    return reverse(f"accounts:{name}", args=args)


def test_user_switches_between_accounts(owner_client, owner):
    other = MembershipFactory(user=owner.user, role=Role.VIEWER).account

    owner_client.post(url("switch"), {"account": other.pk})

    response = owner_client.get(url("settings"))
    assert (response.context["request"].account, response.context["request"].actor.role) == (other, Role.VIEWER)


@pytest.mark.parametrize("wanted", ["stranger", "nonsense", ""])
def test_user_does_not_switch_to_where_they_do_not_belong(owner_client, stranger, wanted):
    wanted = stranger.account.pk if wanted == "stranger" else wanted

    assert owner_client.post(url("switch"), {"account": wanted}).status_code == 404
    assert owner_client.get(url("settings")).context["request"].account == owner_client.account


def test_taken_away_account_is_not_switched_back_to(owner_client, owner):
    other = MembershipFactory(user=owner.user)
    owner_client.post(url("switch"), {"account": other.account_id})

    other.delete()

    assert owner_client.get(url("settings")).context["request"].account == owner_client.account


def test_user_without_an_account_opens_one(client):
    user = UserFactory()
    client.force_login(user)

    client.post(url("none"), {"name": "Fresh start"})

    membership = user.memberships.get()
    assert (membership.account.name, membership.role) == ("Fresh start", Role.OWNER)


def test_user_with_an_account_opens_no_second_one_by_accident(owner_client):
    assert owner_client.post(url("none"), {"name": "Another"}).status_code == 302
    assert Membership.objects.filter(user=owner_client.membership.user).count() == 1


def test_user_without_an_account_sees_invitations(client, account):
    user = UserFactory()
    invitation = InvitationFactory(account=account, email=user.email)
    InvitationFactory(account=AccountFactory(name="Not for you"))
    client.force_login(user)

    page = client.get(url("none")).content.decode()

    assert members.link(invitation) in page
    assert "Not for you" not in page


def path_of(invitation):
    return members.link(invitation).partition("localhost:8000")[2]


def test_invited_user_joins(client, account, stranger):
    invitation = InvitationFactory(account=account, email=stranger.user.email, role=Role.VIEWER)
    client.force_login(stranger.user)

    page = client.get(path_of(invitation)).content.decode()
    client.post(path_of(invitation))

    assert "Join Example Ltd" in page
    assert account.memberships.get(user=stranger.user).role == Role.VIEWER
    assert client.get(url("settings")).context["request"].account == account


def test_invitation_of_another_is_not_accepted(client, account, stranger):
    invitation = InvitationFactory(account=account)
    client.force_login(stranger.user)

    page = client.get(path_of(invitation)).content.decode()
    client.post(path_of(invitation))

    assert f"The invitation is for {invitation.email}" in page
    assert not account.memberships.filter(user=stranger.user).exists()


def test_visitor_with_an_invitation_is_asked_to_log_in_or_sign_up(client, account):
    known = InvitationFactory(account=account, email=UserFactory().email)
    unknown = InvitationFactory(account=account, email="new+1@example.com")

    assert f"{reverse('account_login')}?next={path_of(known)}" in client.get(path_of(known)).content.decode()
    assert f"{reverse('account_signup')}?email=new%2B1%40example.com" in client.get(path_of(unknown)).content.decode()


def test_links_that_no_longer_work_say_so(client, account):
    expired = InvitationFactory(account=account, expires_at=timezone.now())
    canceled = InvitationFactory(account=account)
    link = path_of(canceled)
    canceled.delete()

    assert client.get(path_of(expired)).status_code == 410
    assert client.get(link).status_code == 404
    assert client.get(url("invitation", "nonsense")).status_code == 404
