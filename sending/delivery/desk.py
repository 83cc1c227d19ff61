"""The database side of delivery: one thread for all lanes of a stream in this process.

The thread owns the database connection, the courier's loop owns the network; no transaction is open while
the network works. In turn it writes what has come back, takes what goes next, and hands that out.
"""

import logging
import math
import queue
import random
import threading
import time
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from functools import partial
from typing import TypeVar

from django.db import InterfaceError, OperationalError, connection
from django.utils import timezone

from sending.delivery import claims, courtesy, hands, shaping, waking
from sending.delivery.composing import Composers
from sending.delivery.courier import Courier
from sending.delivery.dialing import Terms
from sending.delivery.hands import Hand, Loader
from sending.delivery.lanes import Lane, Run
from sending.delivery.lookups import Lookups
from sending.delivery.parcels import Delivery, Parcel
from sending.delivery.verdicts import judge
from sending.models import Status

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

WINDOW = 500  # messages out at a time, about, over all lanes; after a crash these are unknown
RENEW_AFTER = 5.0  # seconds without anything to write until leases and shares are renewed
LINGER = timedelta(seconds=5)  # an idle lane keeps its connections this long
LOOK_EVERY = 0.5  # seconds; a wake-up reaches one process, but the lane may have enough for all of them
COMPLAIN_EVERY = 15.0  # seconds, while the database is away
ASK_DATABASE_EVERY = 0.5
STOP_WITHIN = 60.0  # seconds that outcomes are kept at the end while the database does not take them

# What a worker that has lost its lease may still write: the server's final word is a fact.
FACTS = frozenset({Status.DELIVERED, Status.BOUNCED})


class Desk:
    """Works the lanes it is told of until nothing is due in them; each lane at its own pace, none waits for another."""

    def __init__(self, stream: str, terms: Terms) -> None:
        self.stream = stream
        self.courier = Courier(terms, self._report)
        self.lookups = Lookups(self.courier)
        self._loader = Loader(Composers())
        self._lanes: dict[str, Lane] = {}
        self._lane_of: dict[int, Lane] = {}  # by message with the courier
        self._inbox: queue.SimpleQueue[list[Delivery] | None] = queue.SimpleQueue()
        self._enlisted: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._looks_at = math.inf  # for lanes with something due; on the monotonic clock
        self._chance = random.Random()  # noqa: S311 - jitter
        self._stopping = threading.Event()

    # What others call, from any thread

    def enlist(self, sites: Iterable[str]) -> None:
        """Work these lanes, too; returns at once."""
        for site in sites:
            self._enlisted.put(site)
        self._inbox.put(None)

    def begin_to_stop(self) -> None:
        """Hand out nothing more; `run` returns when what is out has come back."""
        self._stopping.set()
        self._inbox.put(None)

    def _report(self, deliveries: list[Delivery]) -> None:
        self._inbox.put(deliveries)

    # What one thread calls

    def run(self) -> None:
        """Work until told to stop."""
        self._looks_at = time.monotonic()
        while self._lanes or not self._stopping.is_set():
            try:
                deliveries = self._collect()
                self._look_around()
                self._cycle(deliveries)
            except Exception:
                # Leases run out by themselves; what was out is then unknown, which is the truth.
                log.exception("The %s lanes of this process are given up", self.stream)
                self._lanes.clear()
                self._lane_of.clear()
                connection.close()
                time.sleep(1)
        connection.close()
        self.courier.stop()

    def drain(self) -> None:
        """Work until nothing is due in the lanes it was told of."""
        self._cycle([])
        while any(not lane.is_idle or lane.has_more for lane in self._lanes.values()):
            self._cycle(self._collect())

    def _collect(self) -> list[Delivery]:
        """Wait for deliveries, news, or the moment when something is to be renewed."""
        found = list(self._wait() or ())
        while True:
            try:
                found += self._inbox.get_nowait() or ()
            except queue.Empty:
                return found

    def _wait(self) -> list[Delivery] | None:
        if not self._lanes and not self._stopping.is_set():
            return self._inbox.get()
        now = timezone.now()
        moments = [(_next_step(lane) - now).total_seconds() for lane in self._lanes.values() if not lane.idle_since]
        try:
            wait = min([RENEW_AFTER, self._looks_at - time.monotonic(), *moments])
            return self._inbox.get(timeout=max(wait, 0.001))
        except queue.Empty:
            return None

    def _look_around(self) -> None:
        """Come to lanes that have something due, even where nobody has woken us for them."""
        if time.monotonic() < self._looks_at:
            return
        self._looks_at = math.inf if self._stopping.is_set() else time.monotonic() + LOOK_EVERY
        if not self._stopping.is_set():
            for site in self._patiently(partial(waking.unattended, self.stream, now=timezone.now())):
                self._enlisted.put(site)

    def _cycle(self, deliveries: list[Delivery]) -> None:
        now = timezone.now()
        self._admit(now)
        hand = self._judge(deliveries, now)
        self._ask(hand)
        written = self._patiently(partial(hands.write, hand))
        aside: dict[Run, list[int]] = {}
        for lane in self._lanes.values():
            self._follow(lane, written.progress, aside)
        self._begin(written.taken, hand, aside)
        if aside:
            self._patiently(partial(hands.put_aside, self.stream, aside, now=now))
        self._tidy(now)

    # Lanes

    def _admit(self, now: datetime) -> None:
        fresh = set()
        while not self._enlisted.empty():
            site = self._enlisted.get()
            if site in self._lanes:
                self._lanes[site].has_more = True
            else:
                fresh.add(site)
        if fresh and not self._stopping.is_set():
            for lane in self._patiently(partial(courtesy.admit, self.stream, sorted(fresh), now=now)):
                self._lanes[lane.site] = lane

    def _ask(self, hand: Hand) -> None:
        """Fill the hand with what each lane may hand out next."""
        self._patiently(partial(courtesy.ask_again, self.stream, self._lanes.values(), now=hand.now))
        spare = WINDOW - len(self._lane_of)
        for lane in self._lanes.values():
            outcomes = hand.outcomes.get(lane.site, ())
            deferred = sum(outcome.status == Status.DEFERRED for outcome in outcomes)
            lane.fit(len(outcomes) - deferred, deferred, most=len(lane.out) + max(spare, 0))
            self._patiently(partial(courtesy.provide, self.stream, lane, now=hand.now))
            room = 0 if self._stopping.is_set() else lane.room
            for run in lane.runs.values():
                if not run.is_lost:
                    hand.wanted[run.claim] = min(room, run.left)
                    room -= hand.wanted[run.claim]
            if room and lane.has_more:
                hand.rooms[lane.site] = room

    def _tidy(self, now: datetime) -> None:
        """Give back what is not worked any more, and leave lanes that have nothing due."""
        stops = self._stopping.is_set()
        for lane in list(self._lanes.values()):
            pauses = stops or lane.suspended_until is not None
            ended = [run for run in lane.runs.values() if not run.out and (run.is_lost or not run.left or pauses)]
            ours = [run.claim for run in ended if run.left and not run.is_lost]
            self._patiently(partial(claims.give_back, ours, due_at=lane.suspended_until))
            for run in ended:
                del lane.runs[run.claim.chunk_id]
            if not lane.is_idle or (lane.has_more and not pauses):
                lane.idle_since = None
                continue
            lane.idle_since = lane.idle_since or now
            if pauses or now - lane.idle_since >= LINGER:
                self._patiently(partial(courtesy.release, self.stream, lane))
                del self._lanes[lane.site]

    # Deliveries

    def _judge(self, deliveries: list[Delivery], now: datetime) -> Hand:
        """Turn what servers have said into outcomes, and heed what it means for their lanes."""
        hand = Hand(self.stream, now)
        complaints: dict[str, list[courtesy.Complaint]] = {}
        shapes = shaping.current(now)
        for delivery in deliveries:
            lane = self._lane_of.pop(delivery.message_id, None)
            if lane is None:  # given up meanwhile
                continue
            run = lane.out.pop(delivery.message_id)
            run.out.discard(delivery.message_id)
            advice = shapes.advice(lane.site, delivery.reply) if delivery.reply else None
            message = run.rows[delivery.message_id]
            outcome = judge(delivery, message, advice, stream=self.stream, now=now, chance=self._chance)
            if not run.is_lost or outcome.status in FACTS:
                hand.outcomes.setdefault(lane.site, []).append(outcome)
            if complaint := courtesy.complaint(delivery, outcome, advice):
                complaints.setdefault(lane.site, []).append(complaint)
        for site, found in sorted(complaints.items()):
            lane = self._lanes[site]
            lane.suspended_until = self._patiently(partial(courtesy.heed, self.stream, site, found, now=now))
            lane.asked_at = hand.now - courtesy.ASK_EVERY  # the pace has changed
        return hand

    # Handing out

    def _follow(self, lane: Lane, progress: dict[int, claims.Progress], aside: dict[Run, list[int]]) -> None:
        """Bring our picture of the chunks up to date and hand out what they gave us."""
        parcels: list[Parcel] = []
        for run in lane.runs.values():
            if run.is_lost:
                continue
            found = progress.get(run.claim.chunk_id)
            if found is None:
                run.is_lost, run.left = True, 0
                continue
            run.left = found.left
            parcels += self._hand_out(lane, run, found.in_flight - run.out, aside)
        self._carry(lane, parcels)

    def _begin(self, taken: list[claims.Claim], hand: Hand, aside: dict[Run, list[int]]) -> None:
        """Start the chunks that were claimed."""
        got: dict[str, int] = {}
        runs = self._patiently(partial(self._loader.load, taken)) if taken else []
        for run in runs:
            lane = self._lanes[run.claim.site]
            lane.runs[run.claim.chunk_id] = run
            got[lane.site] = got.get(lane.site, 0) + len(run.claim.messages)
            self._carry(lane, self._hand_out(lane, run, run.claim.in_flight, aside))
        for site, room in hand.rooms.items():
            self._lanes[site].has_more = got.get(site, 0) >= room

    def _hand_out(self, lane: Lane, run: Run, fresh: Iterable[int], aside: dict[Run, list[int]]) -> list[Parcel]:
        parcels = []
        for message_id in sorted(fresh):
            parcel = run.parcel(message_id)
            if parcel is None:
                aside.setdefault(run, []).append(message_id)
                continue
            self._lane_of[message_id] = lane
            lane.out[message_id] = run
            run.out.add(message_id)
            parcels.append(parcel)
        lane.spend(len(parcels))
        return parcels

    def _carry(self, lane: Lane, parcels: list[Parcel]) -> None:
        if parcels:
            self.courier.carry(lane.site, parcels, lane.limits)

    # Trouble

    def _patiently(self, ask: Callable[[], Answer]) -> Answer:
        """Ask the database, and again while it is away: what a server has said must not be forgotten.

        Meanwhile nothing more is handed out, so what is kept stays within the window.
        """
        begun = complained = time.monotonic()
        while True:
            try:
                return ask()
            except (OperationalError, InterfaceError) as error:
                now = time.monotonic()
                if self._stopping.is_set() and now - begun > STOP_WITHIN:
                    raise
                if now - complained >= COMPLAIN_EVERY or complained == begun:
                    log.warning("The database does not answer (%s); asking again", error)
                    complained = now
                connection.close()
                time.sleep(ASK_DATABASE_EVERY)


def _next_step(lane: Lane) -> datetime:
    """Return when something is to be done for a lane that gets no news."""
    asks_at = courtesy.next_question(lane)
    return min(lane.resumes_at, asks_at) if lane.resumes_at else asks_at
