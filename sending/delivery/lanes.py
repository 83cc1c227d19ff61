"""Working a lane: the database side of delivery.

The thread of the lane owns the database connection, the courier's loop owns the network; no
transaction is open while the network works. The thread hands out messages in a window, collects
what comes back, and writes it in bulk every few dozen milliseconds.
"""

import logging
import queue
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection, transaction
from django.utils import timezone

from mailpush.mail.mx import Route
from recipients import suppression
from recipients.models import Suppression
from sending import ledger
from sending.delivery import claims, routing
from sending.delivery.composing import Composer, Composers, Mail
from sending.delivery.courier import Courier, Delivery, Parcel
from sending.delivery.verdicts import judge
from sending.models import UNROUTED, Batch, Chunk, Destination, Lane, Message, Status
from sending.models.message import WAITING

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

WINDOW = 200  # messages handed out without a recorded outcome; after a crash these are unknown
FLUSH_AT = 64  # outcomes …
FLUSH_AFTER = 0.05  # … or seconds since the first, whichever comes first
RENEW_AFTER = 5.0  # seconds without an outcome until the leases are renewed
TURN = 20.0  # seconds until the lane makes room for another one
SUSPENSION = timedelta(minutes=1)  # after "slow down" or an unreachable destination
DATABASE_PATIENCE = 60.0  # seconds that outcomes are kept while the database does not take them

# What a worker that has lost its lease may still write: the server's final word is a fact.
FACTS = frozenset({Status.DELIVERED, Status.BOUNCED})

CANCELED = "The batch was canceled while this message waited for its next try."


@dataclass(slots=True)
class Run:
    """A claimed chunk being worked: its messages, and how they are composed and routed."""

    claim: claims.Claim
    rows: dict[int, Message]
    composers: dict[int, Composer]
    routes: dict[str, Route]
    left: int = 0  # messages that have not been handed out
    in_flight: frozenset[int] = frozenset()
    is_lost: bool = False


@dataclass(slots=True)
class Hand:
    """What is to be written in one go."""

    outcomes: list[ledger.Outcome]
    wanted: dict[claims.Claim, int]
    now: datetime
    aside: list[int] = field(default_factory=list)  # messages to be looked up again


class LaneWorker:
    """Takes one lane's due chunks until none is left, its turn is over or the lane is suspended."""

    def __init__(
        self, stream: str, site: str, *, courier: Courier, composers: Composers, stop: threading.Event
    ) -> None:
        self.stream = stream
        self.site = site
        self._courier = courier
        self._composers = composers
        self._stop = stop
        self._runs: dict[int, Run] = {}  # by chunk
        self._run_of: dict[int, Run] = {}  # by message in flight
        self._deliveries: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._chance = random.Random()  # noqa: S311 - jitter
        self._suspended_until: datetime | None = None
        self._ends_at = time.monotonic() + TURN

    def work(self) -> bool:
        """Return whether the lane may have more to do at once."""
        while True:
            self._claim_more()
            if not self._runs and not self._run_of:
                break
            self._write(self._collect())
            self._give_back()
        return not self._stop.is_set() and self._suspended_until is None and time.monotonic() > self._ends_at

    def _is_over(self) -> bool:
        return self._stop.is_set() or self._suspended_until is not None or time.monotonic() > self._ends_at

    # Chunks

    def _claim_more(self) -> None:
        """Claim ahead, so that the end of one chunk does not empty the window."""
        room = WINDOW - len(self._run_of) - sum(run.left for run in self._runs.values())
        if room <= 0 or self._is_over():
            return
        # Patiently: this thread holds what servers have said of earlier chunks.
        taken = self._patiently(
            lambda: claims.take(stream=self.stream, site=self.site, enough=room, now=timezone.now())
        )
        for claim in taken:
            self._runs[claim.chunk_id] = self._patiently(partial(self._load, claim))

    def _load(self, claim: claims.Claim) -> Run:
        rows = {row.pk: row for row in Message.objects.filter(pk__in=claim.messages, status__in=WAITING)}
        domains = {_domain(row.recipient) for row in rows.values()}
        known = Destination.objects.filter(domain__in=domains, site=self.site, expires_at__gt=timezone.now())
        return Run(
            claim=claim,
            rows=rows,
            composers=self._composers.of({row.content_id for row in rows.values()}),
            routes={destination.domain: routing.route(destination) for destination in known},
            left=len(claim.messages),
        )

    def _give_back(self) -> None:
        ended = [
            run for run in self._runs.values() if not run.in_flight and (run.is_lost or not run.left or self._is_over())
        ]
        if ended:
            ours = [run.claim for run in ended if not run.is_lost]
            self._patiently(lambda: claims.give_back(ours, due_at=self._suspended_until))
        for run in ended:
            del self._runs[run.claim.chunk_id]

    # Outcomes

    def _collect(self) -> list[Delivery]:
        """Wait for outcomes: a full hand, or those of the first moments after one has come."""
        if not self._run_of:
            return []
        try:
            found = [self._deliveries.get(timeout=RENEW_AFTER)]
        except queue.Empty:
            return []
        deadline = time.monotonic() + FLUSH_AFTER
        while len(found) < FLUSH_AT and (left := deadline - time.monotonic()) > 0:
            try:
                found.append(self._deliveries.get(timeout=left))
            except queue.Empty:
                break
        return found

    def _write(self, deliveries: list[Delivery]) -> None:
        """Record outcomes and take the next messages, in one transaction; then hand those out."""
        now = timezone.now()
        self._heed(deliveries, now)
        outcomes = []
        for delivery in deliveries:
            run = self._run_of.pop(delivery.message_id)
            row = run.rows[delivery.message_id]
            outcome = judge(delivery, row, stream=self.stream, now=now, chance=self._chance)
            if not run.is_lost or outcome.status in FACTS:
                outcomes.append(outcome)
        hand = Hand(outcomes, self._wanted(), now)
        progress = self._patiently(lambda: self._commit(hand))
        for run in self._runs.values():
            self._follow(run, progress.get(run.claim.chunk_id), hand)
        if hand.aside:
            self._patiently(lambda: self._put_aside(hand))

    def _wanted(self) -> dict[claims.Claim, int]:
        """Share the free places of the window among the chunks, oldest first."""
        room = 0 if self._is_over() else WINDOW - len(self._run_of)
        wanted = {}
        for run in self._runs.values():
            if not run.is_lost:
                wanted[run.claim] = min(room, run.left)
                room -= wanted[run.claim]
        return wanted

    @transaction.atomic
    def _commit(self, hand: Hand) -> dict[int, claims.Progress]:
        done = [outcome.message_id for outcome in hand.outcomes]
        progress = claims.advance(hand.wanted, done=done, now=hand.now)
        moves = ledger.record(hand.outcomes)
        self._queue_again({move.message_id: move for move in moves}, hand)
        suppression.suppress_all(_dead_address(move) for move in moves if move.invalid)
        ended = {move.batch_id for move in moves if move.batch_id and move.status != Status.DEFERRED}
        if ended:
            ledger.finish_batches(ended, now=hand.now)
        return progress

    def _queue_again(self, moves: dict[int, ledger.Move], hand: Hand) -> None:
        """Put deferred messages back into the queue, those of one batch that are due together as one chunk."""
        again: dict[tuple[int | None, datetime], list[int]] = {}
        for outcome in hand.outcomes:
            if outcome.next_attempt_at and outcome.message_id in moves:
                key = moves[outcome.message_id].batch_id, _rounded(outcome.next_attempt_at)
                again.setdefault(key, []).append(outcome.message_id)
        batches = {batch_id for batch_id, _ in again if batch_id}
        # Locked: a cancellation either sees these chunks or is seen here.
        canceled = set(
            Batch.objects.select_for_update()
            .filter(pk__in=batches, status=Batch.Status.CANCELED)
            .order_by("pk")
            .values_list("pk", flat=True)
            if batches
            else ()
        )
        Chunk.objects.bulk_create(
            Chunk(stream=self.stream, site=self.site, batch_id=batch_id, messages=ids, due_at=due_at)
            for (batch_id, due_at), ids in again.items()
            if batch_id not in canceled
        )
        ledger.record(
            [
                ledger.Outcome(pk, Status.CANCELED, at=hand.now, reply=CANCELED, is_attempt=False)
                for (batch_id, _), ids in again.items()
                if batch_id in canceled
                for pk in ids
            ]
        )

    # Handing out

    def _follow(self, run: Run, progress: claims.Progress | None, hand: Hand) -> None:
        """Bring our picture of a chunk up to date and hand out what it gave us."""
        if progress is None or run.is_lost:
            run.is_lost, run.left = True, 0
            run.in_flight = frozenset(pk for pk, holder in self._run_of.items() if holder is run)
            return
        fresh = progress.in_flight - {pk for pk, holder in self._run_of.items() if holder is run}
        run.in_flight, run.left = progress.in_flight, progress.left
        parcels = []
        for message_id in sorted(fresh):
            row = run.rows.get(message_id)
            route = run.routes.get(_domain(row.recipient)) if row else None
            if row is None or route is None:
                hand.aside.append(message_id)
                continue
            self._run_of[message_id] = run
            composition = _composition(run.composers[row.content_id], row, hand.now)
            parcels.append(Parcel(message_id, route, composition, self._deliveries.put))
        self._courier.carry(parcels)

    @transaction.atomic
    def _put_aside(self, hand: Hand) -> None:
        """Take messages off our hands: finished ones for good, those of unknown destination to the look-up."""
        claimed = {run.claim: 0 for run in self._runs.values() if not run.is_lost}
        progress = claims.advance(claimed, done=hand.aside, now=hand.now)
        unrouted: dict[int | None, list[int]] = {}
        for run in self._runs.values():
            if run.claim.chunk_id in progress:
                run.in_flight = progress[run.claim.chunk_id].in_flight
                for row in (run.rows[pk] for pk in hand.aside if pk in run.rows):
                    unrouted.setdefault(row.batch_id, []).append(row.pk)
        Chunk.objects.bulk_create(
            Chunk(stream=self.stream, site=UNROUTED, batch_id=batch_id, messages=ids, due_at=hand.now)
            for batch_id, ids in unrouted.items()
        )

    # Trouble

    def _heed(self, deliveries: list[Delivery], now: datetime) -> None:
        """Leave the destination alone for a while when it asks for that, or cannot be reached."""
        for delivery in deliveries:
            asked = delivery.reply is not None and delivery.reply.slow_down
            if (asked or delivery.is_about_us) and self._suspended_until is None:
                self._suspended_until = now + SUSPENSION
                reason = delivery.problem or str(delivery.reply)
                lane = Lane.objects.filter(stream=self.stream, site=self.site)
                self._patiently(
                    partial(lane.update, suspended_until=self._suspended_until, reason=ledger.words(reason))
                )

    def _patiently(self, write: Callable[[], Answer]) -> Answer:
        """Ask the database, and again while it is away: what a server has said must not be forgotten."""
        until = time.monotonic() + DATABASE_PATIENCE
        while True:
            try:
                return write()
            except (OperationalError, InterfaceError):
                if time.monotonic() > until:
                    raise
                log.warning("The database does not answer; trying again")
                connection.close()
                time.sleep(0.5)


def _composition(composer: Composer, row: Message, now: datetime) -> Callable[[], Mail]:
    return lambda: composer.compose(row, now=now)


def _dead_address(move: ledger.Move) -> Suppression:
    return Suppression(
        account_id=move.account_id,
        address=move.recipient.lower(),
        reason=Suppression.Reason.BOUNCED,
        source=f"message {move.message_id}",
        evidence=move.reply,
    )


def _domain(address: str) -> str:
    return address.rpartition("@")[2]


def _rounded(moment: datetime) -> datetime:
    """Return the end of its ten seconds: retries due about together share a chunk."""
    return moment.replace(second=moment.second // 10 * 10, microsecond=0) + timedelta(seconds=10)
