import json
from io import StringIO

import pytest
from django.core.management import CommandError, call_command

from accounts.models import AccessKey, Role, User
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def run(*arguments):
    output = StringIO()
    call_command(*arguments, stdout=output)
    return json.loads(output.getvalue())


def test_create_account_prints_what_logs_in(client):
    made = run("create_account", "Jo@Example.com")

    user = User.objects.get()
    assert made == {
        "account_id": user.memberships.get().account_id,
        "email": "jo@example.com",
        "password": made["password"],
    }
    assert user.check_password(made["password"])
    assert not user.is_staff


def test_create_account_takes_a_password_and_makes_staff():
    made = run("create_account", "jo@example.com", "--password", "given by hand", "--staff")

    assert made["password"] == "given by hand"
    assert User.objects.get().is_staff


@pytest.mark.parametrize(
    ("password", "sentence"),
    [
        ("123", "at least 10 characters"),
        ("39207561829", "entirely numeric"),
        ("1234567890", "too common"),
        ("jo@example.com", "too similar"),
    ],
)
def test_create_account_refuses_passwords_that_sign_up_would_not_take(password, sentence):
    with pytest.raises(CommandError, match=sentence):
        run("create_account", "jo@example.com", "--password", password)

    assert not User.objects.exists()


def test_create_account_refuses_a_taken_address():
    UserFactory(email="jo@example.com")

    with pytest.raises(CommandError, match=r"jo@example\.com already has an account"):
        run("create_account", "jo@example.com")


def test_create_access_key_prints_key_and_secret():
    membership = MembershipFactory(role=Role.DEVELOPER)

    made = run("create_access_key", membership.user.email.upper())

    key = AccessKey.objects.get()
    assert made == {"access_key_id": key.key_id, "access_key_secret": key.secret}
    assert (key.account, key.role) == (membership.account, Role.DEVELOPER)


def test_create_access_key_needs_a_member():
    user = UserFactory()

    with pytest.raises(CommandError, match="no member"):
        run("create_access_key", user.email)


def test_create_access_key_says_what_a_viewer_lacks():
    membership = MembershipFactory(role=Role.VIEWER)

    with pytest.raises(CommandError, match="Viewer"):
        run("create_access_key", membership.user.email)
