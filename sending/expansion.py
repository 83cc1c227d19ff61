"""From a list to messages: the audience of a batch is frozen into rows, slice by slice.

Every slice is one statement, in one transaction with the row that stands for it, so a crash repeats nothing and
skips nothing, and any number of workers take slices side by side: a statement uses one processor of the database.
Mails begin to leave with the first slice.
"""

import logging
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts import quotas
from sending import audience, ledger
from sending.models import Batch, Chunk, Slice, Status
from sending.models.queue import CHUNK_SIZE

log = logging.getLogger(__name__)

SLICE = 10_000  # recipients a transaction
LEASE = timedelta(minutes=2)  # longer than any slice takes
SENT_FOR = timedelta(seconds=10)  # workers that have not come by then are taken for lost with the broker

CUT = """
INSERT INTO sending_slice (batch_id, after, last)
SELECT %(batch)s, COALESCE(lag(max(id)) OVER (ORDER BY max(id)), 0), max(id)
FROM (
    SELECT id, (row_number() OVER (ORDER BY id) - 1) / %(size)s AS number
    FROM recipients_recipient WHERE list_id = %(list)s
) numbered
GROUP BY number
"""

EXPAND = """
WITH slice AS (
    SELECT id, address, variables FROM recipients_recipient
    WHERE list_id = %(list)s AND id > %(after)s AND id <= %(last)s {unhandled}
), message AS (
    INSERT INTO sending_message (account_id, content_id, batch_id, recipient, variables, status, day, finished_at)
    SELECT %(account)s, %(content)s, %(batch)s, s.address, s.variables, s.status, %(day)s,
           CASE WHEN s.status = 'suppressed' THEN %(now)s END
    FROM (
        SELECT slice.*, CASE WHEN EXISTS (
            SELECT FROM recipients_suppression x
            WHERE x.address = lower(slice.address) AND (x.account_id = %(account)s OR x.account_id IS NULL)
              AND (x.scope = 'account' OR (x.scope = 'domain' AND x.scope_value = %(domain)s)
                   OR (x.scope = 'sender' AND x.scope_value = %(sender)s))
        ) THEN 'suppressed' ELSE 'queued' END AS status
        FROM slice
    ) s
    RETURNING id, recipient, status
), chunk AS (
    INSERT INTO sending_chunk (stream, site, batch_id, messages, due_at)
    SELECT 'batch', site, %(batch)s, ids[start : start + %(chunk)s - 1], %(now)s
    FROM (
        SELECT COALESCE(d.site, '') AS site, array_agg(m.id ORDER BY m.id) AS ids
        FROM message m
        LEFT JOIN sending_destination d
               ON d.domain = split_part(m.recipient, '@', -1) AND d.expires_at > %(now)s
        WHERE m.status = 'queued'
        GROUP BY 1
    ) lane, generate_series(1, cardinality(ids), %(chunk)s) AS start
)
SELECT count(*) FILTER (WHERE status = 'queued'), count(*) FILTER (WHERE status = 'suppressed') FROM message
"""


# For a batch to the rest, as `audience.of` has it.
UNHANDLED = f"""
      AND NOT EXISTS (
          SELECT FROM sending_message h JOIN sending_batch b ON b.id = h.batch_id
          WHERE h.account_id = %(account)s AND lower(h.recipient) = lower(recipients_recipient.address)
            AND (b.id = %(first)s OR b.rest_of_id = %(first)s)
            AND h.status IN ({", ".join(f"'{status.value}'" for status in audience.HANDLED)})
      )
"""


@transaction.atomic
def start(batch: Batch, *, now: datetime) -> None:
    """Spend the quota and cut the audience into slices; the batch is then prepared by `expand`.

    :raises QuotaSpent: the account may not send that many; the batch stays as it was.
    """
    assert batch.list
    batch.requested = audience.of(batch).count()
    batch.day = quotas.spend(batch.account, batch.requested, now=now)
    batch.status = Batch.Status.PREPARING
    batch.started_at = now
    batch.claimed_until = now + SENT_FOR
    batch.save()
    with connection.cursor() as cursor:
        cursor.execute(CUT, {"batch": batch.pk, "list": batch.list_id, "size": SLICE})


def start_scheduled(*, now: datetime) -> list[Batch]:
    """Start the batches whose time has come; one that may not be sent any more says why and is canceled."""
    started = []
    for pk in Batch.objects.filter(status=Batch.Status.SCHEDULED, scheduled_at__lte=now).values_list("pk", flat=True):
        with transaction.atomic():
            batch = (
                Batch.objects.select_for_update(skip_locked=True).filter(pk=pk, status=Batch.Status.SCHEDULED).first()
            )
            if batch and (problem := _start_or_say(batch, now=now)):
                Batch.objects.filter(pk=pk).update(status=Batch.Status.CANCELED, problem=problem, finished_at=now)
            elif batch:
                started.append(batch)
    return started


def _start_or_say(batch: Batch, *, now: datetime) -> str:
    if batch.list is None or batch.list.deleted_at is not None:  # its rows go in slices, later
        return _("Its recipient list was deleted before the batch was due.")
    if not batch.sender.is_usable:
        return _("Its sender address could not be used when the batch was due.")
    try:
        start(batch, now=now)
    except quotas.QuotaSpent as refusal:
        return refusal.message
    return ""


def due(*, now: datetime) -> list[Batch]:
    """Return the batches that wait to be prepared and that nobody has worked on lately, for workers to be sent for."""
    free = Q(claimed_until=None) | Q(claimed_until__lt=now)
    found = list(Batch.objects.filter(free, status=Batch.Status.PREPARING))
    Batch.objects.filter(pk__in=[batch.pk for batch in found]).update(claimed_until=now + SENT_FOR)
    return found


def expand(batch_id: int) -> bool:
    """Prepare a batch as long as there is a slice that nobody has; return False where it is not to be prepared."""
    preparing = Batch.objects.filter(pk=batch_id, status=Batch.Status.PREPARING)
    if not preparing.update(claimed_until=timezone.now() + LEASE):
        return False
    while _expand_one(batch_id, now=timezone.now()):
        pass
    _complete(batch_id, now=timezone.now())
    return True


@transaction.atomic
def _expand_one(batch_id: int, *, now: datetime) -> bool:
    """Turn a slice into messages and chunks; return False where there is none to take."""
    free = Slice.objects.select_for_update(skip_locked=True).filter(batch_id=batch_id)
    taken = free.order_by("after").first()
    if taken is None:
        return False
    batch = Batch.objects.select_related("content__sender__domain").get(pk=batch_id)
    queued, suppressed = _insert(batch, taken, now=now)
    taken.delete()
    if not Batch.objects.filter(pk=batch_id, status=Batch.Status.PREPARING).update(claimed_until=now + LEASE):
        transaction.set_rollback(True)  # canceled meanwhile
        return False
    assert batch.day  # set by `start`
    numbers = {Status.QUEUED: queued, Status.SUPPRESSED: suppressed}
    ledger.accept(batch.content, numbers, batch_id=batch_id, day=batch.day, now=now)
    return True


def _insert(batch: Batch, taken: Slice, *, now: datetime) -> tuple[int, int]:
    """Return how many messages are queued and how many are suppressed."""
    sender = batch.content.sender
    with connection.cursor() as cursor:
        cursor.execute(
            EXPAND.format(unhandled=UNHANDLED if batch.rest_of_id else ""),
            {
                "first": batch.first_id,
                "list": batch.list_id,
                "after": taken.after,
                "last": taken.last,
                "chunk": CHUNK_SIZE,
                "account": batch.account_id,
                "content": batch.content_id,
                "batch": batch.pk,
                "day": batch.day,
                "domain": sender.domain.name,
                "sender": sender.address,
                "now": now,
            },
        )
        queued, suppressed = cursor.fetchone()
    return queued, suppressed


@transaction.atomic
def _complete(batch_id: int, *, now: datetime) -> None:
    """End the preparation, unless another worker still has a slice: then that one will."""
    batch = Batch.objects.select_for_update().filter(pk=batch_id, status=Batch.Status.PREPARING).first()
    if batch is None or batch.slices.exists():
        return
    Batch.objects.filter(pk=batch_id).update(status=Batch.Status.SENDING, claimed_until=None)
    ledger.finish_batches([batch_id], now=now)
    give_back(batch)


def give_back(batch: Batch) -> None:
    """Return the quota of those who have become no message to send, when no more will."""
    unsent = batch.requested - batch.total + batch.suppressed  # left the list meanwhile, or are suppressed
    if unsent > 0:
        assert batch.day  # set by `start`
        quotas.give_back(batch.account_id, unsent, day=batch.day)


def withdraw(batch_id: int, *, now: datetime) -> None:
    """Cancel what a canceled batch still has in the queue; what is on the network ends by itself."""
    Slice.objects.filter(batch_id=batch_id, batch__status=Batch.Status.CANCELED).delete()
    while _withdraw_chunk(batch_id, now=now):
        pass


@transaction.atomic
def _withdraw_chunk(batch_id: int, *, now: datetime) -> bool:
    chunk = (
        Chunk.objects.select_for_update(of=("self",))
        .filter(batch_id=batch_id, batch__status=Batch.Status.CANCELED)
        .exclude(messages=[])
        .order_by("pk")
        .first()
    )
    if chunk is None:
        Chunk.objects.filter(batch_id=batch_id, messages=[], in_flight=[], leased_until=None).delete()
        return False
    ledger.record(
        [ledger.Outcome(pk, Status.CANCELED, at=now, is_attempt=False) for pk in chunk.messages],
    )
    chunk.messages = []
    chunk.save(update_fields=["messages"])
    return True


def canceled_with_chunks() -> list[int]:
    """Return the canceled batches that still have something in the queue."""
    left = Chunk.objects.filter(batch__status=Batch.Status.CANCELED).exclude(messages=[])
    return list(left.values_list("batch_id", flat=True).distinct())
