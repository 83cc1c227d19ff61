"""The roll-up: figures per day, counted anew from the ledger for every day that events were added to.

Counting a whole day again, instead of adding what is new, is exact whatever was counted before, and a
bounce that comes days later corrects the day of its message.
"""

from dataclasses import dataclass
from datetime import date

from django.db import connection, transaction

from stats.models import LedgerPosition

LOOK = """
SELECT COALESCE((SELECT max(id) FROM sending_event), 0),
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""

# A day's total only ever grows. Where the events say less than the figure, the ledger has been cut
# (retention takes the oldest events first, so the acceptance goes before the outcome): the figure stays.
# Events outlive accounts and senders; figures do not.
RECOUNT = """
INSERT INTO stats_dailyfigure AS known (account_id, sender_id, tag_id, day, total, success, failed, invalid)
SELECT counted.account_id, counted.sender_id, counted.tag_id, counted.day,
       counted.total, GREATEST(counted.success, 0), GREATEST(counted.failed - counted.invalid, 0), counted.invalid
FROM (
    SELECT account_id, sender_id, tag_id, day,
           COALESCE(sum(n) FILTER (WHERE was = ''), 0) AS total,
           sum(n * ((status = 'delivered')::int - (was = 'delivered')::int)) AS success,
           sum(n * ((status IN ('bounced', 'failed', 'suppressed'))::int
                    - (was IN ('bounced', 'failed', 'suppressed'))::int)) AS failed,
           COALESCE(sum(n) FILTER (WHERE invalid AND status = 'bounced'), 0) AS invalid
    FROM sending_event
    WHERE day = ANY(%s)
    GROUP BY account_id, sender_id, tag_id, day
) counted
JOIN senders_sender sender ON sender.id = counted.sender_id AND sender.account_id = counted.account_id
WHERE counted.tag_id IS NULL OR EXISTS (SELECT FROM senders_tag tag WHERE tag.id = counted.tag_id)
ON CONFLICT ON CONSTRAINT figure_once DO UPDATE
SET total = excluded.total, success = excluded.success, failed = excluded.failed, invalid = excluded.invalid
WHERE known.total <= excluded.total
  AND (known.total, known.success, known.failed, known.invalid)
      IS DISTINCT FROM (excluded.total, excluded.success, excluded.failed, excluded.invalid)
"""


@dataclass(frozen=True, slots=True)
class Look:
    """The ledger at one moment: its newest event, and which transactions may still add older ones."""

    newest: int
    oldest_running: int  # transaction id
    next_xid: int


@transaction.atomic
def roll_up() -> int | None:
    """Bring the figures up to date; return how many changed, None where another roll-up is at work."""
    LedgerPosition.objects.bulk_create([LedgerPosition()], ignore_conflicts=True)
    position = LedgerPosition.objects.select_for_update(skip_locked=True).first()
    if position is None:
        return None
    look = _look()
    if position.next_xid > look.next_xid:  # the database was restored on a younger server: begin anew
        position.counted_to = position.newest = position.next_xid = 0
    changed = _recount(_days_with_events_after(position.counted_to))
    _advance(position, look)
    return changed


def _look() -> Look:
    with connection.cursor() as cursor:
        cursor.execute(LOOK)
        return Look(*cursor.fetchone())


def _days_with_events_after(event_id: int) -> list[date]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT DISTINCT day FROM sending_event WHERE id > %s", [event_id])
        return [day for (day,) in cursor.fetchall()]


def _recount(days: list[date]) -> int:
    if not days:
        return 0
    with connection.cursor() as cursor:
        cursor.execute(RECOUNT, [days])
        return cursor.rowcount


def _advance(position: LedgerPosition, look: Look) -> None:
    """Move on to the newest event of the earlier look, once nothing can appear below it any more.

    This roll-up has counted after `look`, so it has seen all that ended before.
    """
    if look.oldest_running >= position.next_xid:
        position.counted_to = position.newest
        position.newest, position.next_xid = look.newest, look.next_xid
        position.save()
