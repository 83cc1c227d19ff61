"""The run: a batch and triggered mail are sent, things are killed as the work goes on, until nothing waits."""

import asyncio
import random
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from json import loads
from pathlib import Path
from typing import TypeVar

from django.conf import settings
from django.db import InterfaceError, OperationalError, connection
from django.db.models import Sum

from mailpush.lib.tokens import BadToken
from mailpush.runtime.benchmarks import haste
from mailpush.runtime.benchmarks.campaign import customer, make_list, press_send
from mailpush.runtime.chaos import victims
from mailpush.runtime.chaos.door_client import DoorClient
from mailpush.runtime.chaos.platform import Platform
from mailpush.runtime.chaos.proof import Kill, Proof, Row, Taken, prove
from mailpush.runtime.nursery import Nursery
from mailpush.runtime.smartsink.fates import Fate
from mailpush.runtime.smartsink.servers import PROVIDERS
from senders.services import senders
from sending import return_path
from sending.models import Batch, Chunk, Event, Message
from sending.models.message import WAITING

Answer = TypeVar("Answer")

SHARE_OF_TRIGGERED = 5  # one in so many messages comes through the submission door
# In turn; their number has no divisor in common with that of the places.
FATES = (Fate.ACCEPT,) * 47 + (
    *(Fate.LATER, Fate.LATER, Fate.BUSY, Fate.BUSY, Fate.RATE, Fate.DROP, Fate.SLOW),
    *(Fate.GONE, Fate.GONE, Fate.SPAM, Fate.FULL, Fate.DROP),
)
PLACES = (*(server.domain for server in PROVIDERS), "north.example", "south.example")
LOOK_EVERY = 0.2
KILL_AT_LEAST_EVERY = 10.0  # seconds, where a kill has stopped all progress
GIVES_UP_AFTER = 180.0  # seconds in which nothing has moved
ASKS_FOR = 5.0  # seconds, where the database does not answer at once


@dataclass(slots=True)
class Chaos:
    """One run; `say` gets a line for each kill."""

    messages: int
    kill_count: int
    say: Callable[[str], None]
    write: Callable[[str, str], None]
    chance: random.Random
    kills: list[Kill] = field(default_factory=list)

    async def run(self, nursery: Nursery) -> Proof:
        """:raises ServerFailed, StepFailed, PartFailed: when the platform cannot be started."""
        books = settings.PLACES.data / "sink.log"
        platform = Platform(self.write, nursery, books)
        try:
            await platform.start()
            client = await asyncio.to_thread(_in_database, self._begin)
            submitting = asyncio.create_task(client.run())
            hastening = asyncio.create_task(self._hasten())
            began = time.time()
            await self._kill_along(platform, began)
            await submitting
            await self._until_nothing_waits()
            hastening.cancel()
            with suppress(asyncio.CancelledError):
                await hastening
            return await asyncio.to_thread(_in_database, lambda: self._prove(client, books))
        finally:
            await platform.stop()

    def _begin(self) -> DoorClient:
        """Order the batch; background workers prepare it."""
        sender = customer()
        triggered = self.messages // SHARE_OF_TRIGGERED
        readers = make_list(sender.account, self.messages - triggered, name="readers", local_parts=FATES, places=PLACES)
        password = senders.generate_smtp_password(sender.trigger_sender, by=sender.actor)
        press_send(sender, readers)
        address = sender.trigger_sender.address
        return DoorClient(settings.MAILPUSH_SUBMISSION_BIND[0], address, password, FATES, PLACES, triggered)

    # Killing

    async def _kill_along(self, platform: Platform, began: float) -> None:
        """Kill as the work goes on, spread evenly over it."""
        for number, kind in zip(range(1, self.kill_count + 1), victims.deal(self.chance), strict=False):
            last = time.monotonic()
            goal = self.messages * number // (self.kill_count + 1)
            while await self._settled() < goal and time.monotonic() - last < KILL_AT_LEAST_EVERY:  # noqa: ASYNC110
                await asyncio.sleep(LOOK_EVERY)
            await asyncio.sleep(self.chance.random() * LOOK_EVERY)
            kill = await self._kill(kind, platform)
            self.kills.append(kill)
            in_flight = "?" if kill.in_flight is None else len(kill.in_flight)
            self.say(
                f"{kill.at - began:6.1f} s  kill {number}: {kill.victim}, {in_flight} messages on the network, "
                f"{await self._settled()} settled"
            )

    async def _kill(self, kind: str, platform: Platform) -> Kill:
        """Kill, and note what was on the network before and after: between the two nobody can look."""
        before, connections = await _in_flight(), victims.connections()
        at, victim = await asyncio.to_thread(victims.kill, kind, platform.inside, self.chance)
        after = await _in_flight()
        return Kill(at, victim, None if before is None or after is None else before | after, connections)

    async def _settled(self) -> int:
        return await _asked(lambda: Message.objects.exclude(status__in=WAITING).count()) or 0

    # Waiting

    async def _hasten(self) -> None:
        """Let time pass faster for retries."""
        while True:
            await _asked(haste.make_due)
            await asyncio.sleep(haste.EVERY)

    async def _until_nothing_waits(self) -> None:
        """Return when all is over, or nothing has moved for long."""
        seen, moved_at = -1, time.monotonic()
        while time.monotonic() - moved_at < GIVES_UP_AFTER:
            await _asked(haste.age_the_hopeless)
            if await _asked(_is_over):
                return
            settled = await self._settled()
            if settled != seen:
                seen, moved_at = settled, time.monotonic()
            await asyncio.sleep(LOOK_EVERY)

    # Proving

    def _prove(self, client: DoorClient, books: Path) -> Proof:
        rows = [Row(*row) for row in Message.objects.values_list("pk", "recipient", "status")]
        moved_in = Event.objects.values("status").annotate(n=Sum("n")).values_list("status", "n")
        moved_out = Event.objects.exclude(was="").values("was").annotate(n=Sum("n")).values_list("was", "n")
        counts = Counter(dict(moved_in))
        counts.subtract(dict(moved_out))
        proof = prove(rows, _taken(books), promised=client.promised, kills=self.kills, counts=counts)
        for batch in Batch.objects.all():
            _check_counts(batch, proof)
        return proof


def _is_over() -> bool:
    is_prepared = not Batch.objects.exclude(status=Batch.Status.DONE).exists()
    return is_prepared and not Message.objects.filter(status__in=WAITING).exists()


def _taken(books: Path) -> list[Taken]:
    taken = []
    for line in books.read_text().splitlines():
        at, header, recipient = loads(line)
        message_id = None
        with suppress(BadToken):
            message_id = return_path.message_of_message_id(header)
        taken.append(Taken(at, message_id, recipient))
    return taken


def _check_counts(batch: Batch, proof: Proof) -> None:
    """The counts of a batch are written along with its messages' rows and must agree with them."""
    found = Counter(batch.messages.values_list("status", flat=True))
    said = {name: getattr(batch, name) for name in ("delivered", "bounced", "failed", "unknown", "deferred", "total")}
    counted = {**{name: found[name] for name in said}, "total": found.total()}
    if said != counted:
        proof.problems.append(f"The batch counts {said}, its rows are {counted}.")


# The database, which may be dead at the moment


async def _in_flight() -> frozenset[int] | None:
    """Return the messages that were handed out and have no outcome; None where the database does not come back soon."""
    end = time.monotonic() + ASKS_FOR
    while time.monotonic() < end:
        chunks = await _asked(lambda: list(Chunk.objects.exclude(in_flight=[]).values_list("in_flight", flat=True)))
        if chunks is not None:
            return frozenset(pk for ids in chunks for pk in ids)
        await asyncio.sleep(LOOK_EVERY)
    return None


async def _asked(question: Callable[[], Answer]) -> Answer | None:
    """Return the database's answer, None where there is none at present."""
    try:
        return await asyncio.to_thread(_in_database, question)
    except (OperationalError, InterfaceError):
        return None


def _in_database(work: Callable[[], Answer]) -> Answer:
    try:
        return work()
    finally:
        connection.close()
