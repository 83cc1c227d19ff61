"""The roll-up: figures per day, counted from the ledger of events.

The ledger is settled up to an event below which nothing can appear any more; that part is in the figures
once and for all. What came later is counted again each time, so the figures are exact and up to date, the
work is that of the new events alone, and retention may drop the old ones.
"""

from dataclasses import dataclass

from django.db import connection, transaction

from stats.models import LedgerPosition

# What a move of `n` messages adds to each figure. Whoever counts as a failure: refused or given up, also by
# us (suppressed), but not who was canceled, nor whose outcome is unknown: those may well have arrived.
FAILED = "('bounced', 'failed', 'suppressed')"
INVALID = "(invalid AND status = 'bounced')::int"
ADDS = {
    "total": "n * (was = '')::int",
    "success": "n * ((status = 'delivered')::int - (was = 'delivered')::int)",
    "failed": f"n * ((status IN {FAILED})::int - (was IN {FAILED})::int - {INVALID})",
    "invalid": f"n * {INVALID}",
    "opens": "n * (status = 'opened')::int",
    "unique_opens": "n * (status = 'opened' AND was <> 'opened')::int",
    "clicks": "n * (status = 'clicked')::int",
    "unique_clicks": "n * (status = 'clicked' AND was <> 'clicked')::int",
}

LOOK = """
SELECT COALESCE((SELECT max(id) FROM sending_event), 0),
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""


def _each(pattern: str) -> str:
    return ", ".join(pattern.format(name=name, adds=adds) for name, adds in ADDS.items())


# Events outlive accounts and senders; figures do not. GREATEST: a ledger whose beginning was dropped
# before it was ever counted must not stop the roll-up.
COUNT = f"""
MERGE INTO stats_dailyfigure known
USING (
    SELECT account_id, sender_id, tag_id, day, {_each("sum({adds}) AS {name}")},
           {_each("COALESCE(sum({adds}) FILTER (WHERE id <= %(cut)s), 0) AS settled_{name}")}
    FROM sending_event
    WHERE id > %(settled_to)s
    GROUP BY account_id, sender_id, tag_id, day
) new
ON known.account_id = new.account_id AND known.day = new.day AND known.sender_id = new.sender_id
   AND known.tag_id IS NOT DISTINCT FROM new.tag_id
WHEN MATCHED THEN UPDATE SET
    {_each("{name} = GREATEST(known.settled_{name} + new.{name}, 0)")},
    {_each("settled_{name} = GREATEST(known.settled_{name} + new.settled_{name}, 0)")}
WHEN NOT MATCHED
     AND EXISTS (SELECT FROM senders_sender s WHERE s.id = new.sender_id AND s.account_id = new.account_id)
     AND (new.tag_id IS NULL OR EXISTS (SELECT FROM senders_tag t WHERE t.id = new.tag_id))
THEN INSERT (account_id, sender_id, tag_id, day, {_each("{name}, settled_{name}")})
     VALUES (new.account_id, new.sender_id, new.tag_id, new.day,
             {_each("GREATEST(new.{name}, 0), GREATEST(new.settled_{name}, 0)")})
"""  # noqa: S608 - put together from this module's own constants


@dataclass(frozen=True, slots=True)
class Look:
    """The ledger at one moment: its newest event, and which transactions may still add older ones."""

    newest: int
    oldest_running: int  # transaction id
    next_xid: int


@transaction.atomic
def roll_up() -> int | None:
    """Bring the figures up to date; return how many were touched, None where another roll-up is at work."""
    if not LedgerPosition.objects.exists():
        LedgerPosition.objects.bulk_create([LedgerPosition()], ignore_conflicts=True)
    position = LedgerPosition.objects.select_for_update(skip_locked=True).first()
    if position is None:
        return None
    look = _look()
    cut = position.newest if _is_settled(position, look) else position.settled_to
    with connection.cursor() as cursor:
        cursor.execute(COUNT, {"settled_to": position.settled_to, "cut": cut})
        touched: int = cursor.rowcount
    if _is_settled(position, look):
        position.settled_to, position.newest, position.next_xid = cut, look.newest, look.next_xid
        position.save()
    return touched


def _look() -> Look:
    with connection.cursor() as cursor:
        cursor.execute(LOOK)
        return Look(*cursor.fetchone())


def _is_settled(position: LedgerPosition, look: Look) -> bool:
    """Whether nothing can appear below the newest event of the earlier look.

    Ledger entries are written after the messages they speak of, so whoever has an event's id has a
    transaction id, too. One from the future is of another server, from which this database was restored.
    """
    return look.oldest_running >= position.next_xid or position.next_xid > look.next_xid
