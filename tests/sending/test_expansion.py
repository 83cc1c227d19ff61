import pytest

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


def test_batch_canceled_while_it_is_prepared_costs_nothing(actor, now, monkeypatch):
    readers = RecipientListFactory(account=actor.account, count=3)
    for _ in range(3):
        RecipientFactory(list=readers)
    batch = BatchFactory(
        content__sender__account=actor.account, list=readers, status=Batch.Status.SCHEDULED, scheduled_at=now
    )
    expansion.start(batch, now=now)
    monkeypatch.setattr(expansion, "SLICE", 1)
    expansion._slice(batch.pk, now=now)
    assert QuotaUse.objects.get().day_used == 3

    batches.cancel(batch, by=actor, now=now)
    expansion.withdraw(batch.pk, now=now)

    assert list(Message.objects.values_list("status", flat=True)) == ["canceled"]
    assert QuotaUse.objects.get().day_used == 0
