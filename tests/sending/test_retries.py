"""When a message is tried again, and for how long."""

import random
from datetime import UTC, datetime, timedelta

import pytest

from senders.models import Stream
from sending.delivery.retries import EPOCH, GIVE_UP_AFTER, ROUNDED_TO, WAITS, next_attempt

SECONDS_OF_A_TRY = timedelta(seconds=0.3)


def tries(stream, accepted_at, chance):
    """Return the moments of all tries after the first, each made when it is due and failing a little later."""
    moments, now, attempts = [], accepted_at, 1
    while moment := next_attempt(stream=stream, attempts=attempts, accepted_at=accepted_at, now=now, chance=chance):
        assert moment > now
        moments.append(moment)
        now, attempts = moment + SECONDS_OF_A_TRY, attempts + 1
    return moments


@pytest.mark.parametrize("stream", [Stream.TRIGGER, Stream.BATCH])
@pytest.mark.parametrize("seconds", [0, 0.1, 7, 9.999999, 10, 31.4, 59.9])
def test_last_try_is_made_just_before_the_span_ends(stream, seconds):
    accepted_at = datetime(2026, 3, 1, 12, tzinfo=UTC) + timedelta(seconds=seconds)

    moments = tries(stream, accepted_at, random.Random(seconds))

    left = accepted_at + GIVE_UP_AFTER[stream] - moments[-1]
    assert timedelta() <= left < ROUNDED_TO[stream]
    assert {(moment - EPOCH) % ROUNDED_TO[stream] for moment in moments} == {timedelta()}
    assert moments[0] >= accepted_at + WAITS[stream][0]


@pytest.mark.parametrize("stream", [Stream.TRIGGER, Stream.BATCH])
def test_nothing_is_tried_when_the_span_is_over(stream):
    now = datetime(2026, 3, 1, 12, tzinfo=UTC)
    accepted_at = now - GIVE_UP_AFTER[stream]

    assert next_attempt(stream=stream, attempts=1, accepted_at=accepted_at, now=now, chance=random.Random(1)) is None
