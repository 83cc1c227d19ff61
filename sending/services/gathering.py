"""Accepting messages for all threads of a process at once.

While one thread writes what a group of them has, the others that come wait together and are the next group: alone
nobody waits for anybody, and many share a few statements, one lock on their quota and one write to the disk.
"""

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from django.db import DataError, IntegrityError, connection, transaction

from mailpush.lib.refusals import Refusal
from sending import acceptance, bodies
from sending.acceptance import Lanes, Submission, Taken
from sending.services import messages

LARGEST = 200  # calls a group
WAKE_EVERY = 0.05  # seconds; a wake-up costs the broker more than a message costs the database


@dataclass(slots=True)
class _Call:
    submissions: Sequence[Submission]
    now: datetime
    turn: threading.Event = field(default_factory=threading.Event)
    is_over: bool = False
    problem: BaseException | None = None

    @property
    def is_stored(self) -> bool:
        return all(each.taken for each in self.submissions)

    def forget(self) -> None:
        """Forget what was rolled back."""
        for each in self.submissions:
            each.taken, each.refusal = [], None


class _Split(Exception):
    """Of a call's several submissions some are refused: calls must be worked on one by one."""


_lock = threading.Lock()
_waiting: list[_Call] = []
_has_leader = False


def accept(submissions: Sequence[Submission], *, now: datetime) -> list[Taken]:
    """Accept submissions of one account, all or none, with whatever other threads have; durable on return.

    Inside a transaction it is that one which makes them durable, so nobody is waited for. What `bodies` has put into
    storage is taken out again where it is refused. Where the database gives no answer it stays: they may be accepted.

    :raises QuotaSpent: the account may not send that many.
    """
    try:
        return _accepted(submissions, now=now)
    except Refusal:
        for each in submissions:
            bodies.discard(each.content)
        raise


def _accepted(submissions: Sequence[Submission], *, now: datetime) -> list[Taken]:
    if connection.in_atomic_block:
        return messages.accept_all(submissions, now=now)
    call = _Call(submissions, now)
    if not _joins(call):
        call.turn.wait()
    if not call.is_over:
        _lead()
    if call.problem:
        raise call.problem
    if refusal := next((each.refusal for each in submissions if each.refusal), None):
        raise refusal
    return [each for submission in submissions for each in submission.taken]


def _joins(call: _Call) -> bool:
    """Wait with the others; return whether the call has to lead because nobody does."""
    global _has_leader
    with _lock:
        _waiting.append(call)
        leads, _has_leader = not _has_leader, True
    return leads


def _lead() -> None:
    """Do what the present group has, and hand over to one of the next."""
    global _has_leader  # noqa: PLW0603
    with _lock:
        group = _waiting[:LARGEST]
        del _waiting[: len(group)]
    try:
        _work(group)
    except BaseException as problem:  # noqa: BLE001 - each of the group raises it, save whose messages are stored
        for call in group:
            call.problem = None if call.is_stored else problem
    finally:
        with _lock:
            _has_leader = bool(_waiting)
            if _waiting:
                _waiting[0].turn.set()
        for call in group:
            call.is_over = True
            call.turn.set()


def _work(group: Sequence[_Call]) -> None:
    """Accept what the group has; what one of them is to blame for is not held against the others."""
    try:
        lanes = _accept_whole(group) if any(len(call.submissions) > 1 for call in group) else _accept(group)
    except (DataError, IntegrityError, _Split):
        for call in group:
            if not call.is_stored:
                _accept_alone(call)
        return
    _waker.wake(lanes)


def _accept(group: Sequence[_Call]) -> Lanes:
    """Accept all submissions; the accounts that can pay first, in one statement, so some may be stored if it raises."""
    return acceptance.accept([each for call in group for each in call.submissions], now=group[0].now)


def _accept_whole(group: Sequence[_Call]) -> Lanes:
    """Accept all submissions of each call or none."""
    try:
        return _accept_all_or_none(group)
    except BaseException:
        for call in group:
            call.forget()
        raise


@transaction.atomic
def _accept_all_or_none(group: Sequence[_Call]) -> Lanes:
    lanes = _accept(group)
    if any(each.refusal for call in group if len(call.submissions) > 1 for each in call.submissions):
        raise _Split
    return lanes


def _accept_alone(call: _Call) -> None:
    call.forget()
    try:
        messages.accept_all(call.submissions, now=call.now)
    except Exception as problem:  # noqa: BLE001 - the caller raises it
        call.problem = problem


class _Waker:
    """Wakes lanes in a thread of its own, and what comes meanwhile together a moment later.

    A wake-up that is lost with its process costs a second: then the beat finds the lane.
    """

    def __init__(self) -> None:
        self._lanes: Lanes = set()
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None

    def wake(self, lanes: Lanes) -> None:
        with self._changed:
            self._lanes |= lanes
            self._changed.notify()
            if self._thread is None:  # not before the server has forked
                self._thread = threading.Thread(target=self._run, name="wake", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._lanes)
                lanes, self._lanes = self._lanes, set()
            messages.wake_quietly(lanes)
            time.sleep(WAKE_EVERY)


_waker = _Waker()
