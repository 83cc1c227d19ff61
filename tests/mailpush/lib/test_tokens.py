from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.lib import tokens

NUMBERS = st.integers(0, 2**48 - 1)
TODAY = date(2026, 11, 2)


@given(NUMBERS)
def test_token_is_read_in_any_letter_case(number):
    token = tokens.make("bounce", number, today=TODAY)

    assert len(token) == 36
    assert tokens.read("bounce", token) == tokens.read("bounce", token.upper()) == number


@given(number=NUMBERS, place=st.integers(0, 35), letter=st.sampled_from("0123456789abcdefg "))
def test_changed_token_is_not_ours(number, place, letter):
    token = tokens.make("bounce", number, today=TODAY)
    changed = token[:place] + letter + token[place + 1 :]

    if changed != token:
        with pytest.raises(tokens.BadToken):
            tokens.read("bounce", changed)


@given(st.text(max_size=40))
def test_any_text_is_read_or_refused(text):
    with pytest.raises(tokens.BadToken):
        tokens.read("bounce", text)


def test_token_serves_its_purpose_only():
    with pytest.raises(tokens.BadToken):
        tokens.read("unsubscribe", tokens.make("bounce", 7, today=TODAY))


def test_old_token_has_expired():
    token = tokens.make("bounce", 7, today=TODAY)
    lasts = timedelta(days=60)

    assert tokens.read("bounce", token, now=datetime(2027, 1, 1, tzinfo=UTC), lasts=lasts) == 7
    with pytest.raises(tokens.ExpiredToken):
        tokens.read("bounce", token, now=datetime(2027, 1, 2, tzinfo=UTC), lasts=lasts)
