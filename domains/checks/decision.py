"""What becomes of a domain after a check: its status, its next check, and what its owners are told.

Pure: no database, no clock. A DNS server that does not answer is never held against a domain, and a
verified domain loses its right to send only after three days of real failures, and a day after the
last warning of it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from domains.models import Domain, RecordCheck

Status = Domain.Status
Outcomes = Mapping[RecordCheck.Kind, RecordCheck.Outcome]

VERIFIED_WAIT = timedelta(days=1)
CONFIRM_WAIT = timedelta(minutes=10)  # one look may hit a zone in the middle of a change
FAILING_WAIT = UNKNOWN_WAIT = timedelta(hours=1)
SUSPENDED_WAIT = timedelta(hours=3)
WARN_AFTER_FAILURES = 2
WARN_AGAIN_AFTER = timedelta(hours=48)
SUSPEND_AFTER = timedelta(hours=72)
LAST_WARNING_LASTS = SUSPEND_AFTER - WARN_AGAIN_AFTER

# An owner who has just created the records waits for the result; who has not for a day, will take days.
WAITS = (
    *(timedelta(minutes=1), timedelta(minutes=2), timedelta(minutes=5), timedelta(minutes=10), timedelta(minutes=30)),
    *(timedelta(hours=1), timedelta(hours=3), timedelta(hours=12), timedelta(days=1)),
)
WATCHED_FOR = timedelta(days=30)


class Verdict(StrEnum):
    PASSED = "passed"
    FAILED = "failed"
    UNKNOWN = "unknown"


class Mail(StrEnum):
    """What the owners are told; also the name of the mail's templates."""

    VERIFIED = "verified"
    FAILING = "failing"
    STILL_FAILING = "still_failing"
    SUSPENDED = "suspended"
    RECOVERED = "recovered"


@dataclass(frozen=True, slots=True)
class State:
    """The columns of a domain that a check moves; see `domains.models.Domain`."""

    status: str
    watched_since: datetime
    next_check_at: datetime | None = None
    verified_at: datetime | None = None
    failing_since: datetime | None = None
    failures: int = 0
    warned_at: datetime | None = None
    is_held: bool = False


def verdict(outcomes: Outcomes) -> Verdict:
    """Return what the required records say together: one real failure is enough."""
    required = {outcomes[kind] for kind in RecordCheck.REQUIRED}
    if required & {RecordCheck.Outcome.MISSING, RecordCheck.Outcome.WRONG}:
        return Verdict.FAILED
    return Verdict.PASSED if required == {RecordCheck.Outcome.PASSED} else Verdict.UNKNOWN


def decide(state: State, outcomes: Outcomes, *, now: datetime) -> tuple[State, Mail | None]:
    """Return the domain's next state, and the mail that goes with it."""
    found = verdict(outcomes)
    if found == Verdict.PASSED:
        return _pass(state, now)
    if state.status == Status.UNVERIFIED:
        return replace(state, next_check_at=next_look(state.watched_since, now)), None
    if found == Verdict.FAILED:
        return _fail(state, now)
    return replace(state, next_check_at=now + UNKNOWN_WAIT), None


def next_look(watched_since: datetime, now: datetime) -> datetime | None:
    """Return when an unverified domain is looked at again: ever more rarely; None is not until asked to."""
    watched = now - watched_since
    if watched >= WATCHED_FOR:
        return None
    return now + max(wait for wait in WAITS if wait <= max(watched, WAITS[0]))


def _pass(state: State, now: datetime) -> tuple[State, Mail | None]:
    good = replace(state, failing_since=None, failures=0, warned_at=None, next_check_at=now + VERIFIED_WAIT)
    if state.is_held:
        return good, None
    mail = None
    if state.status == Status.UNVERIFIED:
        mail = Mail.VERIFIED
    elif state.status == Status.SUSPENDED or state.warned_at:
        mail = Mail.RECOVERED
    return replace(good, status=Status.VERIFIED, verified_at=state.verified_at or now), mail


def _fail(state: State, now: datetime) -> tuple[State, Mail | None]:
    since = state.failing_since or now
    failing = replace(state, failing_since=since, failures=state.failures + 1)
    if state.status == Status.SUSPENDED:
        return replace(failing, next_check_at=now + SUSPENDED_WAIT), None
    mail = _due_mail(failing, since, now)
    if mail == Mail.SUSPENDED:
        return replace(failing, status=Status.SUSPENDED, next_check_at=now + SUSPENDED_WAIT), mail
    wait = CONFIRM_WAIT if failing.failures < WARN_AFTER_FAILURES else FAILING_WAIT
    return replace(failing, next_check_at=now + wait, warned_at=now if mail else state.warned_at), mail


def _due_mail(failing: State, since: datetime, now: datetime) -> Mail | None:
    """Return the warning that is due, each after the one before it, however long we ourselves were down."""
    if failing.failures < WARN_AFTER_FAILURES:
        return None
    if failing.warned_at is None:
        return Mail.FAILING
    if failing.warned_at < since + WARN_AGAIN_AFTER:
        return Mail.STILL_FAILING if now >= since + WARN_AGAIN_AFTER else None
    return Mail.SUSPENDED if now >= failing.warned_at + LAST_WARNING_LASTS else None
