"""Log-in, password, second factor and error pages as visitors and users get them."""

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.core.exceptions import PermissionDenied
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views import defaults
from django.views.csrf import csrf_failure

from mailpush.views import trouble
from tests.factories import PASSWORD, UserFactory

pytestmark = pytest.mark.django_db

VISITORS = [
    "account_login",
    "account_signup",
    "account_email_verification_sent",
    "account_inactive",
    "account_reset_password",
    "account_reset_password_done",
    "account_reset_password_from_key_done",
]
USERS = [
    "account_logout",
    "account_email",
    "account_change_password",
    "account_reauthenticate",
    "mfa_index",
    "mfa_activate_totp",
    "mfa_add_webauthn",
    "mfa_list_webauthn",
]
PROTECTED = ["mfa_view_recovery_codes", "mfa_generate_recovery_codes", "mfa_deactivate_totp", "mfa_reauthenticate"]


@pytest.fixture
def user(db):
    return UserFactory(name="Ada")


@pytest.fixture
def browser(user):
    """A browser in which the user has logged in and has just proved once more who they are."""
    browser = Client(headers={"host": "localhost"})
    browser.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    return browser


@pytest.fixture
def protected(browser, user):
    """The same, with an authenticator app set up."""
    TOTP.activate(user, "JBSWY3DPEHPK3PXP")
    RecoveryCodes.activate(user)
    return browser


def is_whole(answer):
    page = answer.content.decode()
    assert page.count("<h1") == 1
    assert "mailpush</title>" in page
    assert page.rstrip().endswith("</html>")
    return page


@pytest.mark.parametrize("name", VISITORS)
@pytest.mark.parametrize("language", ["en", "zh-hans"])
def test_visitors_get_the_page(client, name, language):
    answer = client.get(reverse(name), headers={"accept-language": language, "host": "localhost"})

    assert answer.status_code == 200
    assert f'<html lang="{language}"' in is_whole(answer)


@pytest.mark.parametrize("name", USERS)
def test_users_get_the_page(browser, name):
    answer = browser.get(reverse(name))

    assert answer.status_code == 200
    is_whole(answer)


@pytest.mark.parametrize("name", PROTECTED)
def test_users_with_a_second_factor_get_the_page(protected, name):
    answer = protected.get(reverse(name))

    assert answer.status_code == 200
    is_whole(answer)


def test_recovery_codes_are_listed(protected, user):
    codes = Authenticator.objects.get(user=user, type=Authenticator.Type.RECOVERY_CODES).wrap().get_unused_codes()

    assert all(code in protected.get(reverse("mfa_view_recovery_codes")).content.decode() for code in codes)


def test_second_factor_is_asked_for_after_the_password(protected, user):
    protected.post(reverse("account_logout"))

    answer = protected.post(reverse("account_login"), {"login": user.email, "password": PASSWORD}, follow=True)

    assert answer.redirect_chain[-1][0] == reverse("mfa_authenticate")
    assert 'id="passkey"' in is_whole(answer)


def test_wrong_password_is_said_beside_the_form(client, user):
    answer = client.post(
        reverse("account_login"), {"login": user.email, "password": "wrong"}, headers={"host": "localhost"}
    )

    assert answer.status_code == 200
    assert 'role="alert"' in answer.content.decode()


def test_dead_links_say_what_to_do(client):
    reset = client.get(reverse("account_reset_password_from_key", args=["1", "no-such-key"]))
    confirm = client.get(reverse("account_confirm_email", args=["no-such-key"]))

    assert reverse("account_reset_password") in is_whole(reset)
    assert reverse("account_login") in is_whole(confirm)


def test_local_visitor_of_a_sandbox_is_shown_where_mails_are(client):
    page = client.get(reverse("account_login"), headers={"host": "localhost"}).content.decode()
    elsewhere = client.get(reverse("account_login"), headers={"host": "localhost"}, REMOTE_ADDR="192.0.2.1")

    assert reverse("sandbox:inbox") in page
    assert reverse("sandbox:inbox") not in elsewhere.content.decode()


@pytest.mark.parametrize(
    ("view", "status"),
    [
        (lambda request: defaults.page_not_found(request, Exception()), 404),
        (lambda request: defaults.permission_denied(request, PermissionDenied()), 403),
        (lambda request: defaults.bad_request(request, Exception()), 400),
        (trouble, 500),
        (csrf_failure, 403),
    ],
    ids=["404", "403", "400", "500", "403_csrf"],
)
def test_error_pages_stand(view, status):
    request = RequestFactory(headers={"host": "localhost"}).get("/")

    answer = view(request)

    assert answer.status_code == status
    page = answer.content.decode()
    assert '<html lang="en"' in page
    assert "mailpush</title>" in page
