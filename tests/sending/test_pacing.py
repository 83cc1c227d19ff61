from dataclasses import replace
from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail.tls import TlsPolicy
from sending.delivery.pacing import CUTS_APART, LEAST_PACE, Pace, limits, recovered, slowed
from sending.delivery.shaping import Advice, Rules, Shape
from sending.models import ReplyRule

NOW = datetime(2026, 11, 26, 8, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def shape(*, connections=10, rate=None):
    return Shape("site", "Site", connections, 100, rate, TlsPolicy.OPPORTUNISTIC, Rules([]), "")


def advice(seconds=600, reason="They asked."):
    return Advice(ReplyRule.Action.SLOW_DOWN, seconds, reason)


shapes = st.builds(shape, connections=st.integers(1, 1000), rate=st.none() | st.integers(1, 1_000_000))
# A lane's life: a wait in seconds, then a reply that slows it down for so long, or a quiet moment (None).
lives = st.lists(st.tuples(st.integers(0, 4000), st.none() | st.integers(1, 86_400)), max_size=30)


def lived(shape, life):
    pace, now = Pace(), NOW
    for wait, seconds in life:
        now += timedelta(seconds=wait)
        pace = recovered(pace, shape, now) if seconds is None else slowed(pace, shape, advice(seconds), now)
        yield pace, now


class TestProperties:
    @given(shapes, lives)
    def test_never_zero_and_never_above_the_shape(self, shape, life):
        for pace, _now in lived(shape, life):
            rate, connections = limits(pace, shape)

            assert 1 <= connections <= shape.connections
            assert rate is None or rate >= min(LEAST_PACE, shape.mails_per_minute or LEAST_PACE)
            assert shape.mails_per_minute is None or rate <= shape.mails_per_minute

    @given(shapes, lives)
    def test_always_recovers(self, shape, life):
        for pace, now in lived(shape, life):
            quiet = max(pace.until or now, now) + 60 * MINUTE

            assert recovered(pace, shape, quiet) == Pace()

    @given(shapes, lives, st.lists(st.integers(0, 1000), max_size=10))
    def test_who_asks_often_gets_the_same(self, shape, life, waits):
        for pace, now in lived(shape, life):
            often, at = pace, now
            for wait in waits:
                at += timedelta(seconds=wait)
                often = recovered(often, shape, at)

            assert often == recovered(pace, shape, at)

    @given(shapes, lives)
    def test_never_slower_by_itself(self, shape, life):
        for pace, now in lived(shape, life):
            later = recovered(pace, shape, now + 5 * MINUTE)
            (was, had), (rate, has) = limits(pace, shape), limits(later, shape)

            assert has >= had
            assert rate is None or (was is not None and rate >= was)

    @given(shapes, lives)
    def test_columns_are_set_together(self, shape, life):
        for pace, _now in lived(shape, life):
            filled = [value is not None for value in (pace.mails_per_minute, pace.connections, pace.since, pace.until)]

            assert filled in ([True] * 4, [False] * 4)


def test_cut_halves_and_says_why():
    assert slowed(Pace(), shape(connections=10, rate=400), advice(), NOW) == Pace(
        200, 5, NOW, NOW + 10 * MINUTE, "They asked."
    )


def test_without_a_limit_a_cut_is_felt_at_once():
    assert limits(slowed(Pace(), shape(connections=4), advice(), NOW), shape(connections=4)) == (120, 2)


def test_replies_that_come_together_cut_once_but_the_longest_wait_counts():
    once = slowed(Pace(), shape(), advice(60), NOW)

    together = slowed(once, shape(), advice(600), NOW + timedelta(seconds=1))

    assert together == replace(once, until=NOW + timedelta(seconds=601))
    assert slowed(together, shape(), advice(60), NOW + CUTS_APART).connections == 2


def test_words_of_the_server_where_the_advice_has_none():
    assert slowed(Pace(), shape(), advice(reason=""), NOW, reason="421 busy").reason == "421 busy"


def test_lower_pace_is_kept_as_long_as_the_rule_says_and_then_grows():
    cut = slowed(Pace(), shape(connections=8, rate=600), advice(600), NOW)

    found = [
        limits(recovered(cut, shape(connections=8, rate=600), NOW + minutes * MINUTE), shape(connections=8, rate=600))
        for minutes in (9, 10, 11, 12)
    ]

    assert found == [(240, 4), (360, 6), (540, 8), (600, 8)]
