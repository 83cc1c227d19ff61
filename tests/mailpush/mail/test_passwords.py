import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail import passwords
from mailpush.mail.passwords import Weakness


@pytest.mark.parametrize(
    ("password", "expected"),
    [
        ("abcDEF1234", []),
        ("aaBB11!#$%&/()=?+*~-", []),
        ("abDE12345", [Weakness.LENGTH]),
        ("abcDEF12345678901234x", [Weakness.LENGTH]),
        ("abcDEF123 4", [Weakness.CHARACTERS]),
        ("äbcDEF1234", [Weakness.CHARACTERS]),
        ("abcdDEFGH1", [Weakness.DIGITS]),
        ("abcdeF12345", [Weakness.UPPER]),
        ("ABCDEf12345", [Weakness.LOWER]),
        ("aaaaaaaaaaaa", [Weakness.DIGITS, Weakness.UPPER]),
        ("", [Weakness.LENGTH, Weakness.DIGITS, Weakness.UPPER, Weakness.LOWER]),
    ],
)
def test_weaknesses(password, expected):
    assert passwords.weaknesses(password) == expected


def test_generated_passwords_keep_the_rule_and_differ():
    made = {passwords.generate() for _ in range(50)}

    assert len(made) == 50
    assert not any(passwords.weaknesses(password) for password in made)


@given(st.text(), st.text())
def test_digest_matches_its_password_only(password, other):
    stored = passwords.digest(password)

    assert passwords.matches(password, stored)
    assert passwords.matches(other, stored) == (other == password)


def test_digests_are_salted():
    assert passwords.digest("abcDEF1234") != passwords.digest("abcDEF1234")
