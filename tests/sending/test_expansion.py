import pytest

from sending import expansion
from sending.models import Batch, Message
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
