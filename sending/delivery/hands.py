"""Writing down, in one transaction, what came of messages, which go next, and which chunks are claimed.

The commit is shared by hundreds of messages of all lanes: that is what makes durable outcomes cheap.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import orjson
from django.db import transaction
from django.utils import timezone

from mailpush.mail.mx import Route
from recipients import suppression
from sending import ledger
from sending.delivery import claims, routing
from sending.delivery.composing import Composers
from sending.delivery.lanes import Run
from sending.delivery.parcels import QueuedMessage
from sending.models import UNROUTED, Batch, Chunk, Status
from sending.statements import executed

CANCELED = "The batch was canceled while this message waited for its next try."
SUPPRESSED_MEANWHILE = "The recipient was suppressed while this message waited."


@dataclass(slots=True)
class Hand:
    """What is to be written in one go."""

    stream: str
    now: datetime
    outcomes: dict[str, list[ledger.Outcome]] = field(default_factory=dict)  # by site
    wanted: dict[claims.Claim, int] = field(default_factory=dict)  # how many more messages of each chunk
    rooms: dict[str, int] = field(default_factory=dict)  # by site, for messages of chunks not claimed yet


@dataclass(frozen=True, slots=True)
class Written:
    """What a hand has given: chunks that are missing in `progress` are not ours any more."""

    progress: dict[int, claims.Progress]
    taken: list[claims.Claim]


@transaction.atomic
def write(hand: Hand) -> Written:
    """Record outcomes, take the next messages and new chunks."""
    outcomes = [outcome for found in hand.outcomes.values() for outcome in found]
    done = [outcome.message_id for outcome in outcomes]
    progress = claims.advance(hand.wanted, done=done, now=hand.now)
    claims.drop([pk for pk, each in progress.items() if not each.in_flight and not each.left])
    taken = claims.take(stream=hand.stream, rooms=hand.rooms, now=hand.now)
    moves = ledger.record(outcomes)
    _queue_again(moves, hand)
    suppression.suppress_all(ledger.dead_addresses(moves))
    return Written(progress, taken)


def _queue_again(moves: Iterable[ledger.Move], hand: Hand) -> None:
    """Put deferred messages back into the queue, those of one batch that are due together as one chunk."""
    batches = {pk: move.batch_id for move in moves if move.status == Status.DEFERRED for pk in move.message_ids}
    again: dict[tuple[str, int | None, datetime], list[int]] = {}
    for site, outcomes in hand.outcomes.items():
        for outcome in outcomes:
            if outcome.next_attempt_at and outcome.message_id in batches:
                key = site, batches[outcome.message_id], outcome.next_attempt_at
                again.setdefault(key, []).append(outcome.message_id)
    if not again:
        return
    canceled = _canceled({batch_id for _, batch_id, _ in again if batch_id})
    Chunk.objects.bulk_create(
        Chunk(stream=hand.stream, site=site, batch_id=batch_id, messages=ids, due_at=due_at)
        for (site, batch_id, due_at), ids in again.items()
        if batch_id not in canceled
    )
    ledger.record(
        [
            ledger.Outcome(pk, Status.CANCELED, hand.now, reply=CANCELED, is_attempt=False)
            for (_, batch_id, _), ids in again.items()
            if batch_id in canceled
            for pk in ids
        ]
    )


def _canceled(batches: set[int]) -> set[int]:
    """Return the canceled ones. All stay locked: a cancellation either sees our chunks or is seen here."""
    if not batches:
        return set()
    locked = Batch.objects.select_for_update().filter(pk__in=batches).order_by("pk").values_list("pk", "status")
    return {pk for pk, status in locked if status == Batch.Status.CANCELED}


# Reading what was claimed

ROWS = """
SELECT id, batch_id, content_id, recipient, variables::text, attempts, extract(epoch FROM created_at)::float8
FROM sending_message
WHERE id = ANY(%(ids)s::bigint[]) AND status IN ('queued', 'deferred')
"""


# Who was suppressed while the message waited: an unsubscribe must not wait for the end of a long campaign.
SUPPRESSED = """
SELECT m.id FROM sending_message m
JOIN sending_content c ON c.id = m.content_id
JOIN senders_sender s ON s.id = c.sender_id
JOIN domains_domain d ON d.id = s.domain_id
WHERE m.id = ANY(%(ids)s::bigint[]) AND EXISTS (
    SELECT FROM recipients_suppression x
    WHERE x.address = lower(m.recipient) AND (x.account_id = m.account_id OR x.account_id IS NULL)
      AND (x.scope = 'account' OR (x.scope = 'domain' AND x.scope_value = d.name)
           OR (x.scope = 'sender' AND x.scope_value = s.address))
)
"""
ASK_AGAIN_AFTER = 60.0  # seconds since a message was accepted, when its recipient was asked about


class Loader:
    """Reads what the chunks of one process need; keeps routes for as long as DNS lets it."""

    def __init__(self, composers: Composers) -> None:
        self._composers = composers
        self._routes: dict[str, tuple[Route, datetime]] = {}

    def load(self, taken: list[claims.Claim]) -> list[Run]:
        """Return the chunks with everything their mails are made of, in a few queries for all of them."""
        now = timezone.now()
        rows = _rows([pk for claim in taken for pk in claim.messages])
        for pk in _end_suppressed(rows, now=now):
            del rows[pk]
        composers = dict(self._composers.of({row.content_id for row in rows.values()}))
        routes = self._routes_of({row.domain for row in rows.values()}, now=now)
        return [
            Run(
                claim=claim,
                rows={pk: rows[pk] for pk in claim.messages if pk in rows},
                composers=composers,
                routes=routes,
                left=len(claim.messages) - len(claim.in_flight),
            )
            for claim in taken
        ]

    def _routes_of(self, domains: set[str], *, now: datetime) -> dict[str, Route]:
        known = {domain: kept[0] for domain in domains if (kept := self._routes.get(domain)) and kept[1] > now}
        if unknown := domains - known.keys():
            self._routes = {domain: kept for domain, kept in self._routes.items() if kept[1] > now}
            for row in routing.known(unknown):
                known[row.domain] = routing.route(row)
                self._routes[row.domain] = known[row.domain], row.expires_at
        return known


def _rows(ids: list[int]) -> dict[int, QueuedMessage]:
    return {
        pk: QueuedMessage(pk, batch, content, recipient, orjson.loads(variables) if variables else None, tried, created)
        for pk, batch, content, recipient, variables, tried, created in executed(ROWS, {"ids": ids})
    }


def _end_suppressed(rows: Mapping[int, QueuedMessage], *, now: datetime) -> list[int]:
    """Let messages whose recipients were suppressed meanwhile end here; return their ids."""
    asked = [pk for pk, row in rows.items() if now.timestamp() - row.created > ASK_AGAIN_AFTER]
    found = [pk for (pk,) in executed(SUPPRESSED, {"ids": asked})] if asked else []
    ledger.record(
        [ledger.Outcome(pk, Status.SUPPRESSED, now, reply=SUPPRESSED_MEANWHILE, is_attempt=False) for pk in found]
    )
    return found


@transaction.atomic
def put_aside(stream: str, runs: Mapping[Run, list[int]], *, now: datetime) -> None:
    """Take messages off our hands: finished ones for good, those of unknown destination to the look-up."""
    claimed = {run.claim: 0 for run in runs}
    done = [pk for ids in runs.values() for pk in ids]
    progress = claims.advance(claimed, done=done, now=now)
    claims.drop([pk for pk, each in progress.items() if not each.in_flight and not each.left])
    unrouted: dict[int | None, list[int]] = {}
    for run, ids in runs.items():
        if run.claim.chunk_id in progress:
            for row in (run.rows[pk] for pk in ids if pk in run.rows):
                unrouted.setdefault(row.batch_id, []).append(row.pk)
    Chunk.objects.bulk_create(
        Chunk(stream=stream, site=UNROUTED, batch_id=batch_id, messages=ids, due_at=now)
        for batch_id, ids in unrouted.items()
    )
