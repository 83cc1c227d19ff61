"""Batches to the rest: who has not got it yet gets it, nobody twice."""

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts.models import QuotaUse
from sending import audience, expansion, ledger
from sending.models import Batch, Message, Status
from sending.services import batches, rests
from tests.factories import (
    BatchFactory,
    RecipientFactory,
    RecipientListFactory,
    SenderFactory,
    SuppressionFactory,
    TemplateFactory,
)

pytestmark = pytest.mark.django_db


@pytest.fixture
def batch(account, actor) -> Batch:
    """To seven readers, and done: each has met another end."""
    readers = RecipientListFactory(account=account, count=7)
    for name in ("delivered", "bounced", "unknown", "failed", "canceled", "suppressed", "queued"):
        RecipientFactory(list=readers, address=f"{name}@readers.example")
    SuppressionFactory(account=account, address="suppressed@readers.example")
    order = batches.Order(
        list=readers,
        template=TemplateFactory(account=account, approve=True),
        sender=SenderFactory(account=account, domain__account=account),
        address_type="random",
    )
    batch = batches.order(order, by=actor, now=timezone.now())
    assert expansion.expand(batch.pk)
    end(batch, {name: Status(name) for name in ("delivered", "bounced", "unknown", "failed", "canceled")})
    batches.cancel(Batch.objects.get(pk=batch.pk), by=actor, now=timezone.now())
    expansion.withdraw(batch.pk, now=timezone.now())
    return Batch.objects.get(pk=batch.pk)


def end(batch, ends):
    rows = Message.objects.filter(batch=batch)
    outcomes = [
        ledger.Outcome(message.pk, ends[name], at=timezone.now())
        for message in rows
        if (name := message.recipient.partition("@")[0]) in ends
    ]
    ledger.record(outcomes)


def reached(batch) -> set[str]:
    addresses = Message.objects.filter(batch=batch).values_list("recipient", flat=True)
    return {address.partition("@")[0] for address in addresses}


def test_the_rest_is_who_has_not_got_it(batch, actor, account):
    RecipientFactory(list=batch.list, address="New@readers.example")

    again = rests.send(batch, by=actor, now=timezone.now())
    assert expansion.expand(again.pk)

    again.refresh_from_db()
    assert reached(again) == {"failed", "canceled", "suppressed", "queued", "New"}
    assert (again.rest_of, again.content, again.requested, again.total) == (batch, batch.content, 5, 5)
    assert again.suppressed == 1
    # Seven were spent; one was suppressed, one canceled before its first try. Of the five, one is suppressed again.
    assert QuotaUse.objects.get().day_used == 5 + 4


def test_the_rest_of_the_rest_is_counted_over_all(batch, actor):
    again = rests.send(batch, by=actor, now=timezone.now())
    expansion.expand(again.pk)
    with pytest.raises(batches.WrongState):
        rests.send(batch, by=actor, now=timezone.now())
    end(again, {"failed": Status.DELIVERED, "canceled": Status.DELIVERED, "queued": Status.FAILED})
    ledger.finish_batches([again.pk], now=timezone.now())

    third = rests.send(Batch.objects.get(pk=again.pk), by=actor, now=timezone.now())
    expansion.expand(third.pk)

    assert reached(third) == {"queued", "suppressed"}
    assert third.rest_of == batch


def test_nobody_is_left(batch, actor):
    batch.list.recipients.exclude(address__startswith="delivered").delete()

    with pytest.raises(rests.NobodyLeft):
        rests.send(batch, by=actor, now=timezone.now())


def test_its_list_may_be_gone(batch, actor):
    batch.list.deleted_at = timezone.now()
    batch.list.save()

    with pytest.raises(rests.ListGone):
        rests.send(batch, by=actor, now=timezone.now())


def test_a_batch_that_is_not_over_has_no_rest(actor, account):
    sender = SenderFactory(account=account, domain__account=account)
    batch = BatchFactory(content__sender=sender, list=RecipientListFactory(account=account))

    with pytest.raises(batches.WrongState):
        rests.send(batch, by=actor, now=timezone.now())


def test_it_can_be_scheduled(batch, actor):
    at = timezone.now() + timedelta(days=1)

    again = rests.send(batch, at=at, by=actor, now=timezone.now())

    assert (again.status, again.scheduled_at) == ("scheduled", at)
    assert expansion.start_scheduled(now=at + timedelta(seconds=1)) == [again]
    again.refresh_from_db()
    assert again.requested == audience.of(again).count() == 4


def test_through_the_api(batch, program):
    answer = program.call("POST", f"batches/{batch.pk}/send-to-rest", {})

    assert answer.status_code == 202
    assert (answer.json()["rest_of"], answer.json()["requested"]) == (str(batch.pk), 4)
    again = program.call("POST", f"batches/{batch.pk}/send-to-rest", {})
    assert (again.status_code, again.json()["code"]) == (409, "wrong_state")


def test_on_the_page(batch, owner_client):
    assert "Send to the rest" in owner_client.get(reverse("sending:batch", args=[batch.pk])).content.decode()

    answer = owner_client.post(reverse("sending:batch-send-rest", args=[batch.pk]), follow=True)

    assert b"A batch to the rest of the list is on its way." in answer.content
    assert Batch.objects.get(rest_of=batch)
