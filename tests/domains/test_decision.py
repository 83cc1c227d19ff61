from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from domains.checks.decision import Mail, State, decide, next_look, verdict
from domains.models import Domain, RecordCheck

Kind, Outcome, Status = RecordCheck.Kind, RecordCheck.Outcome, Domain.Status

NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)


def outcomes(*required, others=Outcome.MISSING):
    return dict.fromkeys(Kind, others) | dict(zip(RecordCheck.REQUIRED, required, strict=True))


GOOD = outcomes(Outcome.PASSED, Outcome.PASSED, Outcome.PASSED)
BAD = outcomes(Outcome.PASSED, Outcome.MISSING, Outcome.PASSED)
SILENT = outcomes(Outcome.PASSED, Outcome.NO_ANSWER, Outcome.PASSED)

NEW = State(status=Status.UNVERIFIED, watched_since=NOW)
SOUND = State(status=Status.VERIFIED, watched_since=NOW - 9 * DAY, verified_at=NOW - 8 * DAY)


def failing(hours, failures=9, warned=None):
    since = NOW - hours * HOUR
    return replace(
        SOUND, failing_since=since, failures=failures, warned_at=None if warned is None else since + warned * HOUR
    )


SUSPENDED = replace(failing(80, warned=49), status=Status.SUSPENDED)
HELD = replace(SOUND, status=Status.SUSPENDED, is_held=True)


@pytest.mark.parametrize(
    ("required", "expected"),
    [
        ([Outcome.PASSED] * 3, "passed"),
        ([Outcome.PASSED, Outcome.PASSED, Outcome.NO_ANSWER], "unknown"),
        ([Outcome.NO_ANSWER] * 3, "unknown"),
        ([Outcome.NO_ANSWER, Outcome.MISSING, Outcome.PASSED], "failed"),
        ([Outcome.PASSED, Outcome.PASSED, Outcome.WRONG], "failed"),
    ],
)
def test_verdict_is_that_of_the_required_records(required, expected):
    assert verdict(outcomes(*required)) == expected


@pytest.mark.parametrize(
    ("state", "found", "expected", "mail"),
    [
        pytest.param(
            NEW,
            GOOD,
            replace(NEW, status=Status.VERIFIED, verified_at=NOW, next_check_at=NOW + DAY),
            Mail.VERIFIED,
            id="new domain passes",
        ),
        pytest.param(NEW, BAD, replace(NEW, next_check_at=NOW + MINUTE), None, id="new domain is looked at again soon"),
        pytest.param(NEW, SILENT, replace(NEW, next_check_at=NOW + MINUTE), None, id="silence for a new domain"),
        pytest.param(SOUND, GOOD, replace(SOUND, next_check_at=NOW + DAY), None, id="verified stays verified"),
        pytest.param(
            SOUND,
            BAD,
            replace(SOUND, failing_since=NOW, failures=1, next_check_at=NOW + 10 * MINUTE),
            None,
            id="a first failure is looked at again before anybody is troubled",
        ),
        pytest.param(
            failing(1, failures=1),
            BAD,
            replace(failing(1), failures=2, warned_at=NOW, next_check_at=NOW + HOUR),
            Mail.FAILING,
            id="a second failure is told",
        ),
        pytest.param(
            failing(30, warned=1),
            BAD,
            replace(failing(30, warned=1), failures=10, next_check_at=NOW + HOUR),
            None,
            id="one warning is enough for two days",
        ),
        pytest.param(
            failing(48, warned=1),
            BAD,
            replace(failing(48, warned=48), failures=10, next_check_at=NOW + HOUR),
            Mail.STILL_FAILING,
            id="a last warning after 48 hours",
        ),
        pytest.param(
            failing(71, warned=48),
            BAD,
            replace(failing(71, warned=48), failures=10, next_check_at=NOW + HOUR),
            None,
            id="not suspended before 72 hours",
        ),
        pytest.param(
            failing(72, warned=48),
            BAD,
            replace(failing(72, warned=48), status=Status.SUSPENDED, failures=10, next_check_at=NOW + 3 * HOUR),
            Mail.SUSPENDED,
            id="suspended after 72 hours",
        ),
        pytest.param(
            failing(200, failures=1),
            BAD,
            replace(failing(200), failures=2, warned_at=NOW, next_check_at=NOW + HOUR),
            Mail.FAILING,
            id="after our own downtime the owner is warned first",
        ),
        pytest.param(
            failing(100, warned=90),
            BAD,
            replace(failing(100, warned=90), failures=10, next_check_at=NOW + HOUR),
            None,
            id="a day lies between the last warning and suspension",
        ),
        pytest.param(
            failing(100, warned=48),
            SILENT,
            replace(failing(100, warned=48), next_check_at=NOW + HOUR),
            None,
            id="silence neither suspends nor forgives",
        ),
        pytest.param(
            failing(1, failures=1),
            GOOD,
            replace(SOUND, next_check_at=NOW + DAY),
            None,
            id="nobody was warned, so nobody is told of recovery",
        ),
        pytest.param(
            failing(30, warned=1), GOOD, replace(SOUND, next_check_at=NOW + DAY), Mail.RECOVERED, id="recovery"
        ),
        pytest.param(
            SUSPENDED,
            GOOD,
            replace(SOUND, next_check_at=NOW + DAY),
            Mail.RECOVERED,
            id="a suspended domain comes back by itself",
        ),
        pytest.param(
            SUSPENDED,
            BAD,
            replace(SUSPENDED, failures=10, next_check_at=NOW + 3 * HOUR),
            None,
            id="suspended stays suspended, quietly",
        ),
        pytest.param(HELD, GOOD, replace(HELD, next_check_at=NOW + DAY), None, id="held by an operator stays held"),
    ],
)
def test_decision(state, found, expected, mail):
    assert decide(state, found, now=NOW) == (expected, mail)


def test_new_domain_is_looked_at_often_then_rarely_then_not():
    looks, at = [], NOW
    while (following := next_look(NOW, at)) is not None:
        looks.append(following - at)
        at = following

    assert looks[:6] == [MINUTE, MINUTE, 2 * MINUTE, 2 * MINUTE, 5 * MINUTE, 10 * MINUTE]
    assert looks == sorted(looks)
    assert looks[-1] == DAY
    assert timedelta(days=30) <= at - NOW <= timedelta(days=31)
    assert len(looks) < 60
