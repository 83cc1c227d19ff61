"""Who may enter the admin, and what operators do to users and accounts."""

import pytest
from allauth.account.internal.flows.login import record_authentication
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import Permission
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.actors import Actor, NotAllowed
from accounts.models import Account, AuditEntry, Role, User
from accounts.services import profile
from tests.factories import AccessKeyFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

LOCAL = {"SERVER_NAME": "localhost"}


def staff(**fields):
    return UserFactory(is_staff=True, is_superuser=True, **fields)


def browser_of(user, *, with_second_factor=False, **environment):
    client = Client(**environment)
    client.force_login(user)
    write_down_login(client, user, "password")
    if with_second_factor:
        Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": "x"})
        write_down_login(client, user, "mfa")
    return client


def write_down_login(client, user, method):
    request = RequestFactory().get("/")
    request.session = client.session
    record_authentication(request, user, method)
    request.session.save()


@pytest.fixture
def operator():
    """A browser of staff who have shown their second factor."""
    return browser_of(staff(email="ops@example.com"), with_second_factor=True)


# The door


@pytest.mark.parametrize("path", ["/admin/", "/admin/accounts/user/", "/admin/login/", "/admin/no-such-page/"])
def test_visitors_log_in_at_the_one_login_page(client, path):
    response = client.get(path)

    assert response.status_code == 302
    assert response.url.startswith(reverse("account_login"))


def test_customers_are_refused(owner_client):
    assert owner_client.get("/admin/").status_code == 403


def test_staff_without_a_second_factor_are_sent_to_set_one_up():
    response = browser_of(staff()).get("/admin/", follow=True)

    assert response.redirect_chain[0] == (reverse("mfa_index"), 302)
    assert "needs a second factor" in response.content.decode()


def test_recovery_codes_alone_are_no_second_factor():
    user = staff()
    Authenticator.objects.create(user=user, type=Authenticator.Type.RECOVERY_CODES, data={})

    assert browser_of(user).get("/admin/").url == reverse("mfa_index")


def test_staff_who_have_not_shown_their_second_factor_in_this_session_are_asked_for_it():
    user = staff()
    Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": "x"})

    response = browser_of(user).get("/admin/accounts/user/?q=x")

    assert response.url == f"{reverse('mfa_reauthenticate')}?next=%2Fadmin%2Faccounts%2Fuser%2F%3Fq%3Dx"


def test_staff_with_a_passkey_are_asked_for_it():
    user = staff()
    Authenticator.objects.create(user=user, type=Authenticator.Type.WEBAUTHN, data={})

    assert browser_of(user).get("/admin/").url.startswith(reverse("mfa_reauthenticate_webauthn"))


def test_staff_with_a_second_factor_come_in(operator):
    assert "mailpush review desk and operations" in operator.get("/admin/").content.decode()


def test_local_reviewer_of_the_sandbox_comes_in_and_is_told_why_once(settings):
    settings.MAILPUSH_DELIVERY = "sandbox"
    browser = browser_of(staff(), **LOCAL)

    assert "no second factor is asked for here" in browser.get("/admin/").content.decode()
    assert "no second factor is asked for here" not in browser.get("/admin/").content.decode()


@pytest.mark.parametrize(
    ("delivery", "environment"),
    [
        ("mx", LOCAL),
        ("relay", LOCAL),
        ("sandbox", {**LOCAL, "REMOTE_ADDR": "192.0.2.1"}),
        ("sandbox", {**LOCAL, "HTTP_X_FORWARDED_FOR": "192.0.2.1"}),
        ("sandbox", {"SERVER_NAME": "testserver"}),
    ],
)
def test_nobody_else_comes_in_without(settings, delivery, environment):
    settings.MAILPUSH_DELIVERY = delivery

    assert browser_of(staff(), **environment).get("/admin/").status_code == 302


def test_local_customers_of_the_sandbox_stay_out(settings):
    settings.MAILPUSH_DELIVERY = "sandbox"

    assert browser_of(UserFactory(), **LOCAL).get("/admin/").status_code == 403


# The desk


def test_operator_suspends_and_resumes_accounts(operator, account, stranger):
    url = reverse("admin:accounts_account_changelist")

    operator.post(url, {"action": "suspend", "_selected_action": [account.pk]})
    account.refresh_from_db()
    assert not account.is_active
    assert Account.objects.get(pk=stranger.account.pk).is_active
    operator.post(url, {"action": "resume", "_selected_action": [account.pk]})

    account.refresh_from_db()
    assert account.is_active
    assert list(AuditEntry.objects.order_by("pk").values_list("account", "actor", "action", "ip")) == [
        (account.pk, "operator ops@example.com", "account.suspended", "127.0.0.1"),
        (account.pk, "operator ops@example.com", "account.resumed", "127.0.0.1"),
    ]


def test_operator_sets_the_quota_and_nothing_else(operator, account):
    url = reverse("admin:accounts_account_change", args=[account.pk])

    numbers = {"daily_quota": 10, "monthly_quota": 100, "requests_a_minute": 60}
    operator.post(url, {**numbers, "name": "Taken over", **no_rows("memberships")})

    account.refresh_from_db()
    assert (account.daily_quota, account.monthly_quota, account.name) == (10, 100, "Example Ltd")
    assert account.requests_a_minute == 60
    assert AuditEntry.objects.get().details == {"daily": 10, "monthly": 100, "requests_a_minute": 60}


def test_operator_locks_a_user_out(operator):
    user = MembershipFactory().user
    url = reverse("admin:accounts_user_change", args=[user.pk])

    operator.post(url, {"email": "other@example.com", **no_rows("memberships")})  # every box unchecked

    changed = User.objects.get(pk=user.pk)
    assert not changed.is_active
    assert changed.email == user.email


def test_operator_helps_a_user_who_lost_their_second_factor(operator, stranger):
    membership = MembershipFactory()
    for user in (membership.user, stranger.user):
        Authenticator.objects.create(user=user, type=Authenticator.Type.TOTP, data={"secret": "x"})

    operator.post(
        reverse("admin:accounts_user_changelist"),
        {"action": "remove_second_factor", "_selected_action": [membership.user_id]},
    )

    assert not Authenticator.objects.filter(user=membership.user).exists()
    assert Authenticator.objects.filter(user=stranger.user).exists()
    entry = AuditEntry.objects.get()
    assert (entry.account, entry.actor, entry.action, entry.target) == (
        membership.account,
        "operator ops@example.com",
        "user.second_factor_removed",
        membership.user.email,
    )


def test_staff_do_not_make_themselves_superusers():
    user = UserFactory(is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename__in=["change_user", "view_user"]))
    url = reverse("admin:accounts_user_change", args=[user.pk])

    form = {"is_active": "on", "is_staff": "on", "is_superuser": "on", **no_rows("memberships")}
    response = browser_of(user, with_second_factor=True).post(url, form)

    user.refresh_from_db()
    assert response.status_code == 302
    assert (user.is_staff, user.is_superuser) == (True, False)


def test_second_factor_of_a_user_is_not_removed_by_customers(owner):
    with pytest.raises(NotAllowed):
        profile.remove_second_factor(UserFactory(), operator=owner.user)


def test_proved_addresses_and_second_factors_are_not_made_by_hand(operator):
    assert operator.get("/admin/account/emailaddress/").status_code == 404
    assert operator.get("/admin/mfa/authenticator/").status_code == 404


def test_only_staff_are_operators(account, owner):
    with pytest.raises(NotAllowed):
        Actor.operator(owner.user, account)


def test_user_locked_out_is_out_at_once(owner_client, owner):
    User.objects.filter(pk=owner.user_id).update(is_active=False)

    assert owner_client.get(reverse("accounts:profile")).status_code == 302


@pytest.mark.parametrize("model", ["user", "account", "accesskey", "auditentry"])
def test_desk_lists_and_shows_but_neither_adds_nor_deletes(operator, model):
    membership = MembershipFactory(role=Role.OWNER)
    key = AccessKeyFactory(account=membership.account)
    entry = AuditEntry.objects.create(account=membership.account, actor="jo", action="list.deleted")
    rows = {"user": membership.user, "account": membership.account, "accesskey": key, "auditentry": entry}
    pk = rows[model].pk

    assert operator.get(reverse(f"admin:accounts_{model}_changelist"), {"q": "example"}).status_code == 200
    assert operator.get(reverse(f"admin:accounts_{model}_add")).status_code == 403
    assert operator.post(reverse(f"admin:accounts_{model}_delete", args=[pk]), {"post": "yes"}).status_code == 403
    page = operator.get(reverse(f"admin:accounts_{model}_change", args=[pk])).content.decode()
    assert key.encrypted_secret not in page
    assert "secret-of-the-key" not in page


@pytest.mark.parametrize("model", ["accesskey", "auditentry"])
def test_keys_and_audit_log_are_not_changed(operator, account, model):
    key = AccessKeyFactory(account=account)
    entry = AuditEntry.objects.create(account=account, actor="jo", action="list.deleted")
    row = {"accesskey": key, "auditentry": entry}[model]

    response = operator.post(reverse(f"admin:accounts_{model}_change", args=[row.pk]), {"label": "x", "actor": "x"})

    assert response.status_code == 403


def no_rows(prefix):
    return {f"{prefix}-TOTAL_FORMS": 0, f"{prefix}-INITIAL_FORMS": 0}
