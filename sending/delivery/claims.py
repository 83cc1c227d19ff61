"""Taking chunks, moving them on under a lease, giving them back.

A chunk row is the ledger of what is on the network: a message is put into `in_flight`, durably, before
it is handed to the courier, and leaves it in the transaction that records its outcome.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q

from senders.models import Stream
from sending import ledger
from sending.models import Batch, Chunk, Status

# Renewed every few seconds while its holder lives, however long an SMTP talk takes.
LEASE = timedelta(seconds=30)
CHUNKS_AT_ONCE = 100  # triggered mail comes in chunks of one

CRASHED = "The process that was sending stopped before the server's answer was recorded."


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk in our hands, with the messages that are left to try."""

    chunk_id: int
    fence: int
    messages: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a chunk has on the network, and how many messages it may still give us."""

    in_flight: frozenset[int]
    left: int


@transaction.atomic
def take(*, stream: str, site: str, enough: int, now: datetime) -> list[Claim]:
    """Lease the lane's most overdue chunks that nobody holds, until they hold `enough` messages.

    What a dead worker left in flight has an unknown outcome: triggered mail is sent again (a code is
    better received twice than never), batch mail is left to the customer.
    """
    free = Q(leased_until=None) | Q(leased_until__lt=now)
    chunks = (
        Chunk.objects.select_for_update(skip_locked=True, of=("self",))
        .filter(free, stream=stream, site=site, due_at__lte=now)
        .exclude(batch__status=Batch.Status.PAUSED)
        .order_by("due_at", "id")[:CHUNKS_AT_ONCE]
    )
    claims: list[Claim] = []
    for chunk in chunks:
        claims.append(_lease(chunk, now=now))
        enough -= len(claims[-1].messages)
        if enough <= 0:
            break
    return claims


def _lease(chunk: Chunk, *, now: datetime) -> Claim:
    if chunk.in_flight and chunk.stream == Stream.TRIGGER:
        chunk.messages = [*chunk.in_flight, *chunk.messages]
    elif chunk.in_flight:
        ledger.record(
            [ledger.Outcome(pk, Status.UNKNOWN, at=now, reply=CRASHED) for pk in chunk.in_flight],
        )
        if chunk.batch_id:  # they may have been its last
            ledger.finish_batches([chunk.batch_id], now=now)
    chunk.in_flight = []
    chunk.fence += 1
    chunk.leased_until = now + LEASE
    chunk.save()
    return Claim(chunk.pk, chunk.fence, tuple(chunk.messages))


# The database takes the next messages off the row itself: a pause or a cancellation that came in
# between leaves it nothing to take.
ADVANCE = """
UPDATE sending_chunk c
SET in_flight = ARRAY(SELECT unnest(c.in_flight) EXCEPT SELECT unnest(%(done)s::bigint[]))
                || CASE WHEN w.paused THEN '{}' ELSE c.messages[1:w.n] END,
    messages = CASE WHEN w.paused THEN c.messages ELSE c.messages[w.n + 1:] END,
    leased_until = %(until)s
FROM (
    SELECT w.id, w.fence, w.n, COALESCE(b.status = 'paused', false) AS paused
    FROM unnest(%(ids)s::bigint[], %(fences)s::int[], %(ns)s::int[]) AS w(id, fence, n)
    JOIN sending_chunk k ON k.id = w.id
    LEFT JOIN sending_batch b ON b.id = k.batch_id
) w
WHERE c.id = w.id AND c.fence = w.fence
RETURNING c.id, c.in_flight, CASE WHEN w.paused THEN 0 ELSE cardinality(c.messages) END
"""


def advance(wanted: Mapping[Claim, int], *, done: Collection[int], now: datetime) -> dict[int, Progress]:
    """Take `done` off the network and put the next messages on it, in the caller's transaction.

    :param wanted: how many more messages of each claim.
    :returns: the progress of each chunk by its id; one that is missing is not ours any more.
    """
    with connection.cursor() as cursor:
        cursor.execute(
            ADVANCE,
            {
                "done": list(done),
                "until": now + LEASE,
                "ids": [claim.chunk_id for claim in wanted],
                "fences": [claim.fence for claim in wanted],
                "ns": list(wanted.values()),
            },
        )
        return {pk: Progress(frozenset(in_flight), left) for pk, in_flight, left in cursor.fetchall()}


def give_back(claims: Collection[Claim], *, due_at: datetime | None = None) -> None:
    """End leases: empty chunks go, what is left of others waits until `due_at` (None: as before)."""
    fences = {claim.chunk_id: claim.fence for claim in claims}
    with transaction.atomic():
        ours = [
            chunk.pk
            for chunk in Chunk.objects.select_for_update().filter(pk__in=fences).order_by("pk")
            if chunk.fence == fences[chunk.pk] and not chunk.in_flight
        ]
        Chunk.objects.filter(pk__in=ours, messages=[]).delete()
        Chunk.objects.filter(pk__in=ours).update(leased_until=None, **({"due_at": due_at} if due_at else {}))
