"""From what happened to calls, some hundred events in each.

A source is read up to a row below which nothing can appear any more, each row once: the place and the calls made of
what was before it are written in one transaction.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction

from sending.models.webhook import Webhook, WebhookCall, WebhookPosition
from sending.webhooks.sources import ROWS, SOURCES, Happened, Source, read

EVENTS_A_CALL = 200
# A row's id is drawn an instant before its transaction has one. Nobody stays in that instant for as long.
SETTLES_AFTER = timedelta(seconds=1)

LOOK = """
SELECT COALESCE((SELECT max(id) FROM {table}), 0),
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint
"""


@dataclass(frozen=True, slots=True)
class Look:
    """A source at one moment: its newest row, and which transactions may still add older ones."""

    newest: int
    oldest_running: int  # transaction id
    next_xid: int


def read_new(*, now: datetime) -> int:
    """Make calls of all that happened since; return how many."""
    return sum(_read_source(source, now=now) for source in SOURCES)


@transaction.atomic
def _read_source(source: Source, *, now: datetime) -> int:
    WebhookPosition.objects.bulk_create([WebhookPosition(source=source.name)], ignore_conflicts=True)
    position = WebhookPosition.objects.select_for_update(skip_locked=True).filter(source=source.name).first()
    if position is None:  # another worker is at it
        return 0
    look = _look(source)
    if position.looked_at is None:  # what happened before there were webhooks is told to nobody
        position.read_to = look.newest
    elif not _is_settled(position, look, now=now):
        return 0
    made = 0 if position.read_to >= position.newest else _read_on(source, position, now=now)
    if position.read_to >= position.newest:
        position.newest, position.next_xid, position.looked_at = look.newest, look.next_xid, now
    position.save()
    return made


def _read_on(source: Source, position: WebhookPosition, *, now: datetime) -> int:
    webhooks: dict[int, list[Webhook]] = {}
    for webhook in Webhook.objects.all():
        webhooks.setdefault(webhook.account_id, []).append(webhook)
    found = read(source, after=position.read_to, to=position.newest, accounts=list(webhooks)) if webhooks else []
    position.read_to = found[-1].row_id if len(found) == ROWS else position.newest
    calls = [
        WebhookCall(webhook=webhook, events=events, next_attempt_at=now, created_at=now)
        for account_id, own in _by_account(found).items()
        for webhook in webhooks[account_id]
        for events in _portions(webhook, own)
    ]
    WebhookCall.objects.bulk_create(calls)
    return len(calls)


def _by_account(found: Iterable[Happened]) -> dict[int, list[Happened]]:
    by_account: dict[int, list[Happened]] = {}
    for each in found:
        by_account.setdefault(each.account_id, []).append(each)
    return by_account


def _portions(webhook: Webhook, found: Sequence[Happened]) -> Iterable[list[dict[str, object]]]:
    events = [each.told() for each in found if each.kind in webhook.kinds and each.at >= webhook.created_at]
    for at in range(0, len(events), EVENTS_A_CALL):
        yield events[at : at + EVENTS_A_CALL]


def _look(source: Source) -> Look:
    with connection.cursor() as cursor:
        cursor.execute(LOOK.format(table=source.table))
        return Look(*cursor.fetchone())


def _is_settled(position: WebhookPosition, look: Look, *, now: datetime) -> bool:
    """Whether nothing can appear below the newest row of the earlier look.

    A transaction id from the future is of another server, from which this database was restored.
    """
    assert position.looked_at
    is_old_enough = now >= position.looked_at + SETTLES_AFTER
    return is_old_enough and (look.oldest_running >= position.next_xid or position.next_xid > look.next_xid)
