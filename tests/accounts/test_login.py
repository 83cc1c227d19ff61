"""Sign-up, login, second factor: allauth behind our settings and adapters."""

import random
import re
import time
import uuid

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value
from django.core import mail
from django.test import Client
from django.urls import reverse

from accounts.models import Account, AuditEntry, Role, User
from accounts.services import members
from mailpush.lib import encryption
from tests.factories import PASSWORD, InvitationFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

NEW_PASSWORD = "quite another horse"


@pytest.fixture(autouse=True)
def _settings(settings):
    settings.MAILPUSH_PUBLIC_URL = "https://push.example"
    settings.MFA_TOTP_TOLERANCE = 1  # a test may begin in one half minute and end in the next


@pytest.fixture
def visitor():
    """A browser at an address nobody has used: limits outlive a test."""
    return new_visitor()


def new_visitor():
    return Client(REMOTE_ADDR=f"10.{random.randrange(256)}.{random.randrange(256)}.{random.randrange(256)}")


@pytest.fixture
def email():
    return f"{uuid.uuid4().hex}@example.com"


def sign_up(browser, email, **others):
    form = {"email": email, "password1": PASSWORD, "password2": PASSWORD}
    return browser.post(reverse("account_signup"), {**form, **others})


def log_in(browser, email, password=PASSWORD):
    return browser.post(reverse("account_login"), {"login": email, "password": password})


def is_logged_in(browser):
    return "_auth_user_id" in browser.session


def path_in_last_mail():
    found = re.search(r"https://push\.example(/\S+)", mail.outbox[-1].body)
    return found[1]


def actions(account):
    return list(account.audit_entries.order_by("pk").values_list("action", flat=True))


# Sign-up


def test_account_comes_to_be_when_the_address_is_proved(visitor, email):
    sign_up(visitor, email.upper())

    assert not is_logged_in(visitor)
    assert User.objects.get().email == email
    assert not Account.objects.exists()

    response = visitor.post(path_in_last_mail())

    membership = User.objects.get().memberships.get()
    assert response.url == "/console/"
    assert is_logged_in(visitor)
    assert (membership.account.name, membership.role) == (email[:64], Role.OWNER)
    assert actions(membership.account) == ["account.created", "user.logged_in"]


def test_looking_at_the_link_proves_nothing(visitor, email):
    sign_up(visitor, email)

    visitor.get(path_in_last_mail())

    assert not EmailAddress.objects.get().verified


def test_link_opened_in_another_browser_proves_the_address_without_logging_in(visitor, email):
    sign_up(visitor, email)
    other = new_visitor()

    other.post(path_in_last_mail())

    assert not is_logged_in(other)
    assert User.objects.get().memberships.count() == 1
    log_in(visitor, email)
    assert is_logged_in(visitor)
    assert User.objects.get().memberships.count() == 1


def test_unproved_address_does_not_log_in(visitor, email):
    UserFactory(email=email, verified=False)

    log_in(visitor, email)

    assert not is_logged_in(visitor)


def test_sign_up_does_not_tell_whether_an_address_is_known(visitor, email):
    UserFactory(email=email)
    unknown = sign_up(visitor, "x" + email)

    known = sign_up(new_visitor(), email)

    assert (known.status_code, known.url) == (unknown.status_code, unknown.url)
    assert User.objects.count() == 2
    assert "https://push.example/accounts/" in mail.outbox[-1].body


def test_invited_address_joins_instead_of_opening_an_account(visitor, email, account):
    InvitationFactory(account=account, email=email, role=Role.DEVELOPER)
    sign_up(visitor, email)
    assert not account.memberships.exists()

    visitor.post(path_in_last_mail())

    assert User.objects.get().memberships.get().account == account
    assert Account.objects.count() == 1


def test_link_of_an_invitation_is_proof_enough(visitor, email, account):
    invitation = InvitationFactory(account=account, email=email, role=Role.DEVELOPER)
    visitor.get(members.link(invitation).removeprefix("https://push.example"))

    sign_up(visitor, email)

    assert is_logged_in(visitor)
    assert not mail.outbox
    membership = User.objects.get().memberships.get()
    assert (membership.account, membership.role) == (account, Role.DEVELOPER)


def test_link_of_an_invitation_proves_no_other_address(visitor, email, account):
    invitation = InvitationFactory(account=account, email=email)
    visitor.get(members.link(invitation).removeprefix("https://push.example"))

    sign_up(visitor, "other-" + email)

    assert not EmailAddress.objects.filter(email="other-" + email, verified=True).exists()
    assert User.objects.get().email == email


def test_links_in_mails_name_the_public_host(visitor, email):
    user = UserFactory(email=email)

    visitor.post(reverse("account_reset_password"), {"email": email}, headers={"host": "localhost"})
    page = visitor.get(path_in_last_mail(), follow=True)
    visitor.post(page.redirect_chain[-1][0], {"password1": NEW_PASSWORD, "password2": NEW_PASSWORD})

    user.refresh_from_db()
    assert user.check_password(NEW_PASSWORD)
    assert "localhost" not in mail.outbox[0].body


# Login


def test_login_is_written_down(visitor, email):
    membership = MembershipFactory(user__email=email)

    response = log_in(visitor, email.upper())

    assert response.url == "/console/"
    entry = AuditEntry.objects.get()
    assert (entry.account, entry.actor, entry.action) == (membership.account, email, "user.logged_in")
    assert entry.ip == visitor.defaults["REMOTE_ADDR"]


def test_guessing_one_password_is_stopped_from_wherever_it_comes(email):
    UserFactory(email=email)
    for _ in range(5):
        log_in(new_visitor(), email, "wrong")

    late = new_visitor()
    response = log_in(late, email)

    assert "Too many failed login attempts" in response.content.decode()
    assert not is_logged_in(late)


def test_guessing_many_passwords_from_one_address_is_stopped(visitor, email):
    UserFactory(email=email)
    for number in range(10):
        log_in(visitor, f"{number}{email}", "wrong")

    response = log_in(visitor, email)

    assert "Too many failed login attempts" in response.content.decode()
    log_in(elsewhere := new_visitor(), email)
    assert is_logged_in(elsewhere)


def test_too_many_sign_ups_get_a_page_that_says_so(visitor, email):
    for number in range(20):
        assert sign_up(visitor, f"{number}{email}", password2="typo").status_code == 200

    response = sign_up(visitor, email)

    assert response.status_code == 429
    assert "Wait a minute" in response.content.decode()
    assert not User.objects.filter(email=email).exists()


def test_changed_password_is_told_and_written_down(visitor, email):
    membership = MembershipFactory(user__email=email)
    log_in(visitor, email)

    visitor.post(
        reverse("account_change_password"),
        {"oldpassword": PASSWORD, "password1": NEW_PASSWORD, "password2": NEW_PASSWORD},
    )

    assert actions(membership.account) == ["user.logged_in", "user.password_changed"]
    assert mail.outbox[-1].to == [email]


def test_changed_address_is_proved_first_and_told_to_the_old_one(visitor, email):
    membership = MembershipFactory(user__email=email)
    log_in(visitor, email)
    visitor.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    new = "new-" + email

    visitor.post(reverse("account_email"), {"email": new.upper(), "action_add": ""})
    membership.user.refresh_from_db()
    assert membership.user.email == email
    visitor.post(path_in_last_mail())

    membership.user.refresh_from_db()
    assert membership.user.email == new
    assert "user.email_changed" in actions(membership.account)
    assert [message.to for message in mail.outbox] == [[new], [email]]


# Second factor


def code(user):
    secret = encryption.decrypt(Authenticator.objects.get(user=user, type="totp").data["secret"])
    return format_hotp_value(hotp_value(secret, int(time.time()) // 30))


def set_up_totp(browser, email):
    log_in(browser, email)
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    browser.get(reverse("mfa_activate_totp"))
    secret = browser.session["mfa.totp.secret"]
    answer = format_hotp_value(hotp_value(secret, int(time.time()) // 30))
    browser.post(reverse("mfa_activate_totp"), {"code": answer})
    return secret


@pytest.mark.django_db(transaction=True)
def test_secrets_of_the_second_factor_are_encrypted(visitor, email):
    membership = MembershipFactory(user__email=email)

    secret = set_up_totp(visitor, email)

    totp = Authenticator.objects.get(type="totp")
    codes = Authenticator.objects.get(type="recovery_codes")
    assert secret not in str(totp.data)
    assert encryption.decrypt(totp.data["secret"]) == secret
    assert encryption.decrypt(codes.data["seed"])
    assert "user.totp_activated" in actions(membership.account)


@pytest.mark.django_db(transaction=True)
def test_second_factor_is_asked_for_at_login(visitor, email):
    user = MembershipFactory(user__email=email).user
    set_up_totp(visitor, email)
    other = new_visitor()

    log_in(other, email)
    assert not is_logged_in(other)
    other.post(reverse("mfa_authenticate"), {"code": code(user)})

    assert is_logged_in(other)


def test_passkeys_belong_to_the_public_host(visitor, email, settings):
    settings.PUBLIC_HOST = "push.example"
    MembershipFactory(user__email=email)
    log_in(visitor, email)
    visitor.post(reverse("account_reauthenticate"), {"password": PASSWORD})

    page = visitor.get(reverse("mfa_add_webauthn")).content.decode()

    assert '"id": "push.example"' in page
