import pytest
from allauth.account.models import EmailAddress
from django.contrib.auth.hashers import check_password

from accounts.actors import Actor
from accounts.models import Account, AuditEntry, Role
from accounts.services import accounts, profile
from accounts.services.time_zones import UnknownTimeZone
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def test_created_account_has_an_owner_who_can_log_in(now):
    membership = accounts.create_account(email=" Jo@Example.com", password="long enough", now=now)

    assert membership.role == Role.OWNER
    assert membership.user.email == "jo@example.com"
    assert check_password("long enough", membership.user.password)
    assert not membership.user.is_staff
    assert EmailAddress.objects.get(user=membership.user, primary=True, verified=True).email == "jo@example.com"
    assert AuditEntry.objects.get().action == "account.created"


def test_staff_account_may_review(now):
    assert accounts.create_account(email="jo@example.com", password="long enough", staff=True, now=now).user.is_staff


def test_taken_address_is_refused_in_any_spelling(now):
    UserFactory(email="jo@example.com")

    with pytest.raises(accounts.EmailTaken):
        accounts.create_account(email="JO@example.com", password="x", now=now)

    assert not Account.objects.exists()


def test_what_is_no_address_is_refused(now):
    with pytest.raises(accounts.BadEmail):
        accounts.create_account(email="jo", password="x", now=now)


def test_long_address_still_names_an_account(now):
    user = UserFactory(email=f"{'a' * 60}@{'b' * 60}.example")

    assert len(accounts.open_account(user, now=now).account.name) == 64


def test_settings_are_changed_and_written_down(actor, stranger):
    accounts.change_settings(by=actor, name=" New name ", time_zone="Asia/Shanghai", directmail_replies=True)

    account = Account.objects.get(pk=actor.account.pk)
    assert (account.name, account.time_zone) == ("New name", "Asia/Shanghai")
    assert AuditEntry.objects.get(account=account).details == {
        "before": {"name": "Example Ltd", "time_zone": "UTC", "directmail_replies": False},
        "after": {"name": "New name", "time_zone": "Asia/Shanghai", "directmail_replies": True},
    }
    assert Account.objects.get(pk=stranger.account.pk).name == "Strangers Inc"


def test_unchanged_settings_are_no_news(actor):
    accounts.change_settings(by=actor, name="Example Ltd", time_zone="UTC")

    assert not AuditEntry.objects.exists()


@pytest.mark.parametrize(
    ("name", "time_zone", "refusal"),
    [(" ", "UTC", accounts.NameMissing), ("x", "Moon/Tranquility", UnknownTimeZone), ("x", "", UnknownTimeZone)],
)
def test_settings_that_cannot_be_are_refused(actor, name, time_zone, refusal):
    with pytest.raises(refusal):
        accounts.change_settings(by=actor, name=name, time_zone=time_zone)

    actor.account.refresh_from_db()
    assert actor.account.name == "Example Ltd"


def test_suspended_account_can_be_resumed(account, stranger):
    operator = Actor.operator(UserFactory(is_staff=True, email="ops@example.com"), account)

    assert accounts.suspend(by=operator)
    assert not accounts.suspend(by=operator)
    account.refresh_from_db()
    assert not account.is_active
    assert accounts.resume(by=operator)

    account.refresh_from_db()
    assert account.is_active
    assert list(AuditEntry.objects.order_by("pk").values_list("actor", "action")) == [
        ("operator ops@example.com", "account.suspended"),
        ("operator ops@example.com", "account.resumed"),
    ]


def test_profile_is_changed_and_written_down_in_each_account(actor, stranger):
    MembershipFactory(account=stranger.account, user=actor.user, role=Role.VIEWER)

    profile.change(actor.user, name=" Jo ", language="zh-hans", time_zone="Asia/Shanghai")

    actor.user.refresh_from_db()
    assert (actor.user.name, actor.user.language, actor.user.time_zone) == ("Jo", "zh-hans", "Asia/Shanghai")
    assert set(AuditEntry.objects.values_list("account", "action")) == {
        (actor.account.pk, "user.profile_changed"),
        (stranger.account.pk, "user.profile_changed"),
    }


@pytest.mark.parametrize(
    ("language", "time_zone", "refusal"),
    [("xx", "UTC", profile.UnknownLanguage), ("en", "Nowhere", UnknownTimeZone)],
)
def test_profile_that_cannot_be_is_refused(actor, language, time_zone, refusal):
    with pytest.raises(refusal):
        profile.change(actor.user, name="", language=language, time_zone=time_zone)
