from datetime import timedelta

import pytest

from accounts.actors import Actor, NotAllowed
from accounts.models import AuditEntry, Role
from recipients import purging
from recipients.models import Import, Recipient, RecipientList
from recipients.services import lists
from tests.factories import RecipientFactory

pytestmark = pytest.mark.django_db


def test_created_list_is_empty_and_audited(actor, now):
    made = lists.create(name="  Big   customers ", alias="VIP@Example.com", description=" all ", by=actor, now=now)

    assert (made.name, made.alias, made.description, made.count) == ("Big customers", "vip@example.com", "all", 0)
    assert AuditEntry.objects.get().action == "list.created"


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"name": ""}, lists.BadListName, "name"),
        ({"name": "x" * 65}, lists.BadListName, "name"),
        ({"name": "a\0b"}, lists.BadListName, "name"),
        ({"alias": "nobody"}, lists.BadAlias, "alias"),
        ({"name": "CUSTOMERS"}, lists.ListExists, "name"),
        ({"alias": "Customers@example.com"}, lists.ListExists, "alias"),
    ],
)
def test_wrong_or_taken_names_are_refused(recipient_list, actor, now, changes, refusal, field):
    with pytest.raises(refusal) as refused:
        lists.create(**{"name": "Other", "alias": "other@example.com", **changes}, by=actor, now=now)

    assert refused.value.field == field
    assert RecipientList.objects.count() == 1


def test_another_account_may_use_the_same_names(recipient_list, stranger, now):
    made = lists.create(name=recipient_list.name, alias=recipient_list.alias, by=stranger, now=now)

    assert made.account == stranger.account


def test_a_list_may_be_edited_to_its_own_names(recipient_list, actor):
    lists.edit(recipient_list, name="customers", alias=recipient_list.alias, description="new", by=actor)

    recipient_list.refresh_from_db()
    assert (recipient_list.name, recipient_list.description) == ("customers", "new")


def test_deleted_list_is_gone_at_once_and_its_rows_later(recipient_list, actor, now):
    kept = RecipientFactory()
    RecipientFactory.create_batch(3, list=recipient_list)
    lists.delete(recipient_list, by=actor, now=now)

    assert not RecipientList.objects.for_account(actor.account).exists()
    assert lists.create(name=recipient_list.name, alias=recipient_list.alias, by=actor, now=now)
    assert purging.due(now + timedelta(minutes=59)) == []
    assert purging.due(now + timedelta(minutes=61)) == [recipient_list.pk]

    purging.purge_list(recipient_list.pk)
    assert list(Recipient.objects.all()) == [kept]
    assert not RecipientList.objects.filter(pk=recipient_list.pk).exists()


def test_purging_takes_many_slices_and_leaves_living_lists_alone(recipient_list, actor, now, monkeypatch):
    monkeypatch.setattr(purging, "SLICE", 2)
    RecipientFactory.create_batch(5, list=recipient_list)
    purging.purge_list(recipient_list.pk)
    assert Recipient.objects.count() == 5

    lists.delete(recipient_list, by=actor, now=now)
    purging.purge_list(recipient_list.pk)
    assert Recipient.objects.count() == 0


@pytest.mark.parametrize("status", [Import.Status.QUEUED, Import.Status.RUNNING])
def test_list_is_not_deleted_under_an_import(recipient_list, upload, actor, now, status):
    job = upload("a@b.com\n")
    Import.objects.filter(pk=job.pk).update(
        status=status, claimed_until=now if status == Import.Status.RUNNING else None
    )

    with pytest.raises(lists.ListBusy):
        lists.delete(recipient_list, by=actor, now=now)


def test_strangers_find_no_list(recipient_list, stranger, now):
    with pytest.raises(RecipientList.DoesNotExist):
        lists.delete(recipient_list, by=stranger, now=now)
    with pytest.raises(RecipientList.DoesNotExist):
        lists.edit(recipient_list, name="x", alias="x@x.com", description="", by=stranger)


def test_viewers_change_nothing(recipient_list, member, now):
    viewer = Actor.member(member(Role.VIEWER))

    with pytest.raises(NotAllowed):
        lists.create(name="x", alias="x@x.com", by=viewer, now=now)
    with pytest.raises(NotAllowed):
        lists.edit(recipient_list, name="x", alias="x@x.com", description="", by=viewer)
    with pytest.raises(NotAllowed):
        lists.delete(recipient_list, by=viewer, now=now)
