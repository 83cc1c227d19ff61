"""Taking chunks, moving them on under a lease, giving them back.

A chunk row is the ledger of what is on the network: a message is put into `in_flight`, durably, before
it is handed to the courier, and leaves it in the transaction that records its outcome.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import transaction

from sending import ledger
from sending.models import Chunk, Message, Status
from sending.models.message import WAITING
from sending.statements import executed

# Renewed every few seconds while its holder lives, however long an SMTP talk takes.
LEASE = timedelta(seconds=30)
CHUNKS_AT_ONCE = 100  # of a lane; triggered mail comes in chunks of one

CRASHED = "The process that was sending stopped before the server's answer was recorded."


@dataclass(frozen=True, slots=True)
class Claim:
    """A chunk in our hands, with the messages that are left to try; the first of them are on the network already."""

    chunk_id: int
    fence: int
    site: str
    messages: tuple[int, ...]
    in_flight: frozenset[int]


@dataclass(frozen=True, slots=True)
class Progress:
    """What a chunk has on the network, and how many messages it may still give us."""

    in_flight: frozenset[int]
    left: int


# Each lane's most overdue chunks that nobody holds, as many as fill its room. The first messages are in flight with
# the claim: one commit less before a code leaves.
TAKE = """
WITH free AS (
    SELECT c.*, lane.room FROM unnest(%(sites)s::text[], %(rooms)s::int[]) AS lane(wanted, room)
    CROSS JOIN LATERAL (
        SELECT k.id, k.site, k.due_at, k.in_flight AS lost, k.messages
        FROM sending_chunk k
        WHERE k.stream = %(stream)s::text AND k.site = lane.wanted AND k.due_at <= %(now)s::timestamptz
          AND (k.leased_until IS NULL OR k.leased_until < %(now)s::timestamptz)
          AND NOT EXISTS (SELECT FROM sending_batch b WHERE b.id = k.batch_id AND b.status IN ('paused', 'canceled'))
        ORDER BY k.due_at, k.id LIMIT LEAST(lane.room, %(most)s::int)
        FOR UPDATE SKIP LOCKED
    ) c
), placed AS (
    SELECT free.*, room - COALESCE(sum(cardinality(messages)) OVER (
        PARTITION BY site ORDER BY due_at, id ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), 0)::int AS share
    FROM free
)
UPDATE sending_chunk c
SET fence = c.fence + 1,
    leased_until = %(until)s::timestamptz,
    in_flight = CASE WHEN %(go_out)s::bool THEN p.messages[1:p.share] ELSE '{}' END,
    messages = CASE WHEN %(go_out)s::bool THEN p.messages[p.share + 1:] ELSE p.messages END
FROM placed p
WHERE c.id = p.id AND p.share > 0
RETURNING c.id, c.fence, c.site, p.messages, c.in_flight, c.batch_id, p.lost
"""


@transaction.atomic(savepoint=False)
def take(*, stream: str, rooms: Mapping[str, int], now: datetime, go_out: bool = True) -> list[Claim]:
    """Lease chunks of the stream's lanes and put their first messages in flight, unless none are to `go_out`.

    What a dead worker left in flight has an unknown outcome; whether it is sent again is its sender's setting.

    :param rooms: by site, how many messages may be put in flight (≥ 1).
    """
    if not rooms:
        return []
    rows = executed(
        TAKE,
        {
            "stream": stream,
            "sites": list(rooms),
            "rooms": list(rooms.values()),
            "most": CHUNKS_AT_ONCE,
            "go_out": go_out,
            "now": now,
            "until": now + LEASE,
        },
    )
    for _chunk, _fence, site, _messages, _flying, batch_id, lost in rows:
        if lost:
            _settle(lost, Chunk(stream=stream, site=site, batch_id=batch_id, due_at=now), now=now)
    return [
        Claim(chunk_id, fence, site, tuple(messages), frozenset(in_flight))
        for chunk_id, fence, site, messages, in_flight, _batch, _lost in rows
    ]


def _settle(lost: list[int], again: Chunk, *, now: datetime) -> None:
    """Decide about messages of unknown outcome as their sender wants it: put them into `again`, or note that."""
    waiting = Message.objects.filter(pk__in=lost, status__in=WAITING).select_related("content__sender")
    again.messages = [message.pk for message in waiting if message.content.sender.sends_unknown_again]
    if again.messages:
        again.save()
    left = set(lost) - set(again.messages)
    ledger.record([ledger.Outcome(pk, Status.UNKNOWN, at=now, reply=CRASHED) for pk in sorted(left)])


# The database takes the next messages off the row itself: a pause or a cancellation that came in
# between leaves it nothing to take.
ADVANCE = """
UPDATE sending_chunk c
SET in_flight = ARRAY(SELECT unnest(c.in_flight) EXCEPT SELECT unnest(%(done)s::bigint[]))
                || CASE WHEN w.paused THEN '{}' ELSE c.messages[1:w.n] END,
    messages = CASE WHEN w.paused THEN c.messages ELSE c.messages[w.n + 1:] END,
    leased_until = %(until)s::timestamptz
FROM (
    SELECT w.id, w.fence, w.n, COALESCE(b.status IN ('paused', 'canceled'), false) AS paused
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
    if not wanted:
        return {}
    rows = executed(
        ADVANCE,
        {
            "done": list(done),
            "until": now + LEASE,
            "ids": [claim.chunk_id for claim in wanted],
            "fences": [claim.fence for claim in wanted],
            "ns": list(wanted.values()),
        },
    )
    return {pk: Progress(frozenset(in_flight), left) for pk, in_flight, left in rows}


def drop(chunk_ids: Collection[int]) -> None:
    """Delete those of the chunks that have nothing any more."""
    if chunk_ids:
        Chunk.objects.filter(pk__in=chunk_ids, messages=[], in_flight=[]).delete()


def give_back(claims: Collection[Claim], *, due_at: datetime | None = None) -> None:
    """End leases: empty chunks go, what is left of others waits until `due_at` (None: as before)."""
    if not claims:
        return
    fences = {claim.chunk_id: claim.fence for claim in claims}
    with transaction.atomic():
        ours = [
            chunk.pk
            for chunk in Chunk.objects.select_for_update().filter(pk__in=fences).order_by("pk")
            if chunk.fence == fences[chunk.pk] and not chunk.in_flight
        ]
        Chunk.objects.filter(pk__in=ours, messages=[]).delete()
        Chunk.objects.filter(pk__in=ours).update(leased_until=None, **({"due_at": due_at} if due_at else {}))
