from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection
from django.utils import timezone

from accounts.models import QuotaUse
from sending import expansion
from sending.models import Batch, Message
from sending.services import batches
from tests.factories import BatchFactory, RecipientFactory, RecipientListFactory

pytestmark = pytest.mark.django_db


def test_scheduled_batch_to_a_deleted_list_is_not_sent(account, now):
    """Its rows may still be there: they go in slices."""
    readers = RecipientListFactory(account=account, count=1, deleted_at=now)
    RecipientFactory(list=readers)
    BatchFactory(
        content__sender__account=account, list=readers, status=Batch.Status.SCHEDULED, requested=1, scheduled_at=now
    )

    assert expansion.start_scheduled(now=now) == []

    batch = Batch.objects.get()
    assert (batch.status, batch.finished_at) == (Batch.Status.CANCELED, now)
    assert "was deleted" in batch.problem
    assert not Message.objects.exists()


@pytest.fixture
def start(actor, now, monkeypatch):
    """Start a batch to so many recipients, in slices of two."""
    monkeypatch.setattr(expansion, "SLICE", 2)

    def start(count):
        readers = RecipientListFactory(account=actor.account, count=count)
        RecipientFactory.create_batch(count, list=readers)
        batch = BatchFactory(
            content__sender__account=actor.account, list=readers, status=Batch.Status.SCHEDULED, scheduled_at=now
        )
        expansion.start(batch, now=now)
        return batch

    return start


def test_batch_canceled_while_it_is_prepared_costs_nothing(start, actor, now):
    batch = start(3)
    assert expansion._expand_one(batch.pk, now=now)
    assert QuotaUse.objects.get().day_used == 3

    batches.cancel(batch, by=actor, now=now)
    expansion.withdraw(batch.pk, now=now)

    assert set(Message.objects.values_list("status", flat=True)) == {"canceled"}
    assert QuotaUse.objects.get().day_used == 0
    assert not batch.slices.exists()


def test_slice_of_a_batch_that_is_canceled_meanwhile_leaves_nothing(start, actor, now):
    batch = start(3)
    batches.cancel(batch, by=actor, now=now)

    assert not expansion._expand_one(batch.pk, now=now)
    assert not expansion.expand(batch.pk)

    assert not Message.objects.exists()
    batch.refresh_from_db()
    assert (batch.status, batch.total) == (Batch.Status.CANCELED, 0)


def test_batch_is_not_over_before_the_last_slice(start, now):
    batch = start(5)
    expansion._expand_one(batch.pk, now=now)

    expansion._complete(batch.pk, now=now)

    batch.refresh_from_db()
    assert batch.status == Batch.Status.PREPARING


def expand(batch_id):
    try:
        expansion.expand(batch_id)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_workers_prepare_a_batch_side_by_side(start):
    """Nobody gets two messages, nobody none, and the last worker ends the preparation."""
    batch = start(41)

    with ThreadPoolExecutor(4) as workers:
        list(workers.map(expand, [batch.pk] * 4))

    addresses = list(Message.objects.filter(batch=batch).values_list("recipient", flat=True))
    assert len(addresses) == len(set(addresses)) == 41
    batch.refresh_from_db()
    assert (batch.status, batch.total, batch.waiting) == (Batch.Status.SENDING, 41, 41)
    assert sum(len(chunk.messages) for chunk in batch.chunks.all()) == 41
    assert not batch.slices.exists()


def test_workers_are_sent_for_once(start):
    batch = start(1)

    assert expansion.due(now=batch.started_at) == []
    assert expansion.due(now=batch.started_at + expansion.SENT_FOR * 2) == [batch]


def test_what_a_dead_worker_left_is_prepared_by_another(start):
    batch = start(1)
    Batch.objects.filter(pk=batch.pk).update(claimed_until=timezone.now() + expansion.LEASE)

    assert expansion.due(now=timezone.now()) == []
    assert expansion.due(now=timezone.now() + expansion.LEASE * 2) == [batch]
    assert expansion.due(now=timezone.now() + expansion.LEASE * 2) == []
