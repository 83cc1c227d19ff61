import threading

import pytest
from django.db import connection

from accounts.actors import Actor, NotAllowed
from accounts.models import Role
from recipients.models import Recipient, RecipientList
from recipients.services import lists, recipients
from tests.factories import RecipientFactory

pytestmark = pytest.mark.django_db


def count(recipient_list: RecipientList) -> int:
    recipient_list.refresh_from_db()
    assert recipient_list.count == recipient_list.recipients.count()
    return recipient_list.count


def add(recipient_list, actor, now, address="Tom@Example.com", **variables):
    return recipients.add(recipient_list, address=address, variables=variables, by=actor, now=now)


def test_added_recipient_is_counted(recipient_list, actor, now):
    made = add(recipient_list, actor, now, UserName=" Tom\nSmith ", NickName="")

    assert (made.address, made.variables) == ("Tom@example.com", {"UserName": "Tom Smith"})
    assert count(recipient_list) == 1


@pytest.mark.parametrize(
    ("address", "variables", "refusal"),
    [
        ("nobody", {}, recipients.BadRecipient),
        ("tom@EXAMPLE.com", {}, recipients.RecipientExists),
        ("anna@example.com", {"UserName": "x" * 76}, recipients.ValueTooLong),
        ("anna@example.com", {"Gender": "x" * 26}, recipients.ValueTooLong),
        ("anna@example.com", {"City": "Rome"}, recipients.UnknownVariable),
    ],
)
def test_wrong_recipients_are_refused_and_not_counted(recipient_list, actor, now, address, variables, refusal):
    add(recipient_list, actor, now)

    with pytest.raises(refusal):
        add(recipient_list, actor, now, address, **variables)

    assert count(recipient_list) == 1


def test_longest_values_fit(recipient_list, actor, now):
    made = add(recipient_list, actor, now, UserName="x" * 75, Mobile="1" * 25)

    assert made.variables == {"UserName": "x" * 75, "Mobile": "1" * 25}


def test_edited_recipient_replaces_its_values(recipient_list, actor, now):
    made = add(recipient_list, actor, now, UserName="Tom", Mobile="1")
    recipients.edit(made, address="TOM@example.com", variables={"UserName": "Thomas"}, by=actor)

    changed = Recipient.objects.get()
    assert (changed.address, changed.variables) == ("TOM@example.com", {"UserName": "Thomas"})


def test_edited_recipient_may_not_take_anothers_address(recipient_list, actor, now):
    add(recipient_list, actor, now, "anna@example.com")
    made = add(recipient_list, actor, now)

    with pytest.raises(recipients.RecipientExists):
        recipients.edit(made, address="Anna@example.com", variables={}, by=actor)


def test_deleting_counts_only_rows_of_this_list(recipient_list, actor, now):
    rows = [add(recipient_list, actor, now, f"u{number}@example.com") for number in range(3)]
    other = RecipientFactory()

    assert recipients.delete(recipient_list, ids=[rows[0].pk, rows[1].pk, other.pk, 99], by=actor) == 2
    assert count(recipient_list) == 1
    assert Recipient.objects.filter(pk=other.pk).exists()


def test_strangers_and_viewers_change_nothing(recipient_list, actor, member, stranger, now):
    made = add(recipient_list, actor, now)
    viewer = Actor.member(member(Role.VIEWER))

    for outsider, refusal in ((stranger, RecipientList.DoesNotExist), (viewer, NotAllowed)):
        with pytest.raises(refusal):
            add(recipient_list, outsider, now, "x@example.com")
        with pytest.raises(refusal):
            recipients.edit(made, address="x@example.com", variables={}, by=outsider)
        with pytest.raises(refusal):
            recipients.delete(recipient_list, ids=[made.pk], by=outsider)

    assert count(recipient_list) == 1


@pytest.mark.django_db(transaction=True)
def test_count_stays_exact_with_many_at_once(recipient_list, actor, now):
    """Half of them add the same addresses."""

    def work(begin: int) -> None:
        try:
            for number in range(begin, begin + 15):
                try:
                    made = add(recipient_list, actor, now, f"u{number}@example.com")
                except recipients.RecipientExists:
                    continue
                if number % 3 == 0:
                    recipients.delete(recipient_list, ids=[made.pk], by=actor)
        finally:
            connection.close()

    threads = [threading.Thread(target=work, args=[begin]) for begin in (0, 0, 10, 30)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert count(recipient_list) > 0


@pytest.mark.django_db(transaction=True)
def test_list_that_an_import_writes_to_is_busy(recipient_list, actor, now, monkeypatch):
    monkeypatch.setattr(lists, "LOCK_WAIT", lists.timedelta(seconds=1))
    locked, done = threading.Event(), threading.Event()

    def hold() -> None:
        try:
            with lists.transaction.atomic():
                lists.locked(recipient_list.pk, account=actor.account)
                locked.set()
                done.wait(30)
        finally:
            connection.close()

    thread = threading.Thread(target=hold)
    thread.start()
    locked.wait(30)
    try:
        with pytest.raises(lists.ListBusy):
            add(recipient_list, actor, now)
    finally:
        done.set()
        thread.join()

    assert count(recipient_list) == 0
