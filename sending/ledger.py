"""Recording what became of messages: their rows, the append-only events and the batch's counts, in one go.

One statement moves any number of messages. The table of allowed moves is in its WHERE clause, so a late
or repeated outcome matches nothing and counts nothing.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import NamedTuple

import orjson
from django.db import transaction

from accounts import quotas
from recipients.models import Suppression
from sending.models import Content, Event, Message, Status
from sending.statements import executed

LONGEST_REPLY = 2000  # characters kept of a server's words

# Batch columns are named for the status they count; what is only queued is total minus the rest.
COUNTED = [status for status in Status.values if status != Status.QUEUED]
FINISHED = [status for status in COUNTED if status != Status.DEFERRED]
UNSENT = frozenset({Status.CANCELED, Status.SUPPRESSED})


@dataclass(slots=True)
class Outcome:
    """What became of one message: an SMTP conversation, or our own decision (then `host` is empty)."""

    message_id: int
    status: Status
    at: datetime
    reply: str = ""
    code: int | None = None
    failure: str = ""
    host: str = ""
    invalid: bool = False
    is_attempt: bool = True
    tls: bool | None = None
    seconds: float | None = None
    next_attempt_at: datetime | None = None


class Move(NamedTuple):
    """A move that took place, of one or more messages."""

    account_id: int
    batch_id: int | None
    day: date
    is_tried: bool
    was: str
    status: str
    invalid: bool
    message_ids: list[int]


# One JSON text for all rows: the driver turns a list into an array value by value, which takes many times as long.
COLUMNS = """
    message_id bigint, status text, at timestamptz, reply text, code int, failure text, host text, invalid bool,
    is_attempt bool, tls bool, seconds float8, next_attempt_at timestamptz
"""
ALLOWED = ", ".join(f"('{was}','{status}')" for status, sources in Message.SOURCES.items() for was in sources)

# Rows are locked in the order of their ids, so that two writers never wait for each other in a circle.
RECORD = f"""
WITH outcome AS (
    SELECT * FROM json_to_recordset(%(outcomes)s::json) AS o({COLUMNS})
), old AS (
    SELECT m.id, m.status FROM sending_message m
    WHERE m.id IN (SELECT message_id FROM outcome) ORDER BY m.id FOR UPDATE
), moved AS (
    UPDATE sending_message m
    SET status = o.status,
        attempts = m.attempts + o.is_attempt::int,
        invalid = o.invalid,
        last_reply = o.reply,
        next_attempt_at = o.next_attempt_at,
        finished_at = CASE WHEN o.status IN ('queued', 'deferred') THEN NULL ELSE o.at END
    FROM outcome o JOIN old ON old.id = o.message_id
    WHERE m.id = o.message_id AND (old.status, o.status) IN ({ALLOWED})
    RETURNING m.id, m.account_id, m.batch_id, m.content_id, m.day, m.attempts, old.status AS was
), noted AS (
    INSERT INTO sending_event (account_id, batch_id, message_id, sender_id, tag_id, day, was, status,
                               invalid, at, attempt, host, code, failure, reply, tls, seconds)
    SELECT moved.account_id, moved.batch_id, moved.id, c.sender_id, c.tag_id, moved.day, moved.was, o.status,
           o.invalid, o.at, CASE WHEN o.is_attempt THEN moved.attempts END, o.host, o.code, o.failure, o.reply,
           o.tls, o.seconds
    FROM moved JOIN outcome o ON o.message_id = moved.id JOIN sending_content c ON c.id = moved.content_id
)
SELECT moved.account_id, moved.batch_id, moved.day, moved.attempts > 0, moved.was, o.status, o.invalid,
       array_agg(moved.id ORDER BY moved.id)
FROM moved JOIN outcome o ON o.message_id = moved.id
GROUP BY moved.account_id, moved.batch_id, moved.day, moved.attempts > 0, moved.was, o.status, o.invalid
"""  # noqa: S608 - put together from this module's own constants


def record(outcomes: Sequence[Outcome]) -> list[Move]:
    """Write the outcomes; return the moves that took place (fewer, where an outcome came too late).

    A batch that has nothing left to try is over. What was never tried and never will be costs no quota.
    """
    if not outcomes:
        return []
    with transaction.atomic(savepoint=False):
        moves = [Move(*row) for row in executed(RECORD, {"outcomes": orjson.dumps(outcomes).decode()})]
        _count(((move.batch_id, move.was, move.status, len(move.message_ids)) for move in moves), now=outcomes[-1].at)
        for move in sorted(moves, key=lambda move: move.account_id):  # as with rows: nobody waits in a circle
            if move.status in UNSENT and not move.is_tried:
                quotas.give_back(move.account_id, len(move.message_ids), day=move.day)
    return moves


def accept(content: Content, numbers: dict[Status, int], *, batch_id: int | None, day: date, now: datetime) -> None:
    """Note that messages have come into being, in the transaction that inserts them.

    :param numbers: how many, by their first status.
    """
    Event.objects.bulk_create(
        Event(
            account_id=content.account_id,
            batch_id=batch_id,
            sender_id=content.sender_id,
            tag_id=content.tag_id,
            day=day,
            status=status,
            n=n,
            at=now,
        )
        for status, n in numbers.items()
        if n
    )
    _count(((batch_id, "", status, n) for status, n in numbers.items()), now=now)


def dead_addresses(moves: Iterable[Move]) -> list[Suppression]:
    """Return whom to suppress: their mail server has said that they do not exist."""
    invalid = [pk for move in moves if move.invalid for pk in move.message_ids]
    return [
        Suppression(
            account_id=message.account_id,
            address=message.recipient.lower(),
            reason=Suppression.Reason.BOUNCED,
            source=f"message {message.pk}",
            evidence=message.last_reply,
        )
        for message in (Message.objects.filter(pk__in=invalid) if invalid else ())
    ]


def words(text: str) -> str:
    """Return a server's words as they may be stored: bounded, without NUL and half surrogate pairs."""
    if not text.isascii():
        text = text.encode(errors="replace").decode()
    return text.replace("\0", "")[:LONGEST_REPLY]


def finish_batches(batch_ids: Collection[int], *, now: datetime) -> None:
    """Close those of the batches that have no message left to try."""
    for batch_id in sorted(batch_ids):
        _add(batch_id, {}, now=now)


def _count(moves: Iterable[tuple[int | None, str, str, int]], *, now: datetime) -> None:
    """Move the batches' counts along, batch by batch in the order of their ids."""
    changes: dict[int, Counter[str]] = {}
    for batch_id, was, status, n in moves:
        if batch_id is not None:
            change = changes.setdefault(batch_id, Counter())
            change[was or "total"] += n if not was else -n
            change[status] += n
    for batch_id, change in sorted(changes.items()):
        _add(batch_id, change, now=now)


ADD = f"""
UPDATE sending_batch
SET {", ".join(f"{column} = {column} + %({column})s::int" for column in ("total", *COUNTED))},
    status = CASE WHEN is_over THEN 'done' ELSE status END,
    finished_at = CASE WHEN is_over THEN %(now)s::timestamptz ELSE finished_at END
FROM (
    SELECT status = 'sending'
           AND total + %(total)s::int = {" + ".join(f"{column} + %({column})s::int" for column in FINISHED)} AS is_over
    FROM sending_batch WHERE id = %(id)s::bigint FOR UPDATE
) AS after
WHERE id = %(id)s::bigint
"""  # noqa: S608 - put together from this module's own constants


def _add(batch_id: int, change: Mapping[str, int], *, now: datetime) -> None:
    """Change a batch's counts, and its status where nothing is left to try."""
    values = {column: change.get(column, 0) for column in ("total", *COUNTED)}
    executed(ADD, {"id": batch_id, "now": now, **values})
