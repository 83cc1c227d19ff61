"""Recipient lists over the API."""

import json

import pytest

from recipients.models import Recipient
from tests.factories import RecipientFactory, RecipientListFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def readers(account):
    return RecipientListFactory(account=account, name="readers")


def addresses(readers):
    return sorted(Recipient.objects.filter(list=readers).values_list("address", flat=True))


def test_rows_that_cannot_be_added_are_told_and_the_others_added(api, readers):
    RecipientFactory(list=readers, address="ann@x.example.org")
    rows = [
        {"e": "ANN@x.example.org"},
        {"e": "ben@x.example.org", "u": "Ben", "m": 138, "x": "ignored"},
        {"e": "BEN@x.example.org"},
        {"e": "carl@x.example.org", "u": "x" * 76},
        {"e": "nobody"},
        {},
    ]

    saved = api("SaveReceiverDetail", ReceiverId=readers.pk, Detail=json.dumps(rows))

    assert (saved["SuccessCount"], saved["ErrorCount"]) == (1, 5)
    told = {each["Email"]: each["ErrMessage"] for each in saved["Data"]["Detail"]}
    assert set(told) == {"ANN@x.example.org", "BEN@x.example.org", "carl@x.example.org", "nobody", ""}
    assert all(told.values())
    assert addresses(readers) == ["ann@x.example.org", "ben@x.example.org"]
    assert Recipient.objects.get(address="ben@x.example.org").variables == {"UserName": "Ben", "Mobile": "138"}
    readers.refresh_from_db()
    assert readers.count == 1


def test_data_of_ones_own_must_be_variables_of_lists(api, readers):
    rows = [
        {"Email": "a@x.example.org", "CustomData": {"姓名": "Ann"}},
        {"Email": "b@x.example.org", "CustomData": {"Shoe": "42"}},
    ]

    saved = api("SaveReceiverDetail", ReceiverId=readers.pk, CustomDetail=json.dumps(rows))

    assert saved["Data"]["Detail"][0]["Email"] == "b@x.example.org"
    assert "Shoe" in saved["Data"]["Detail"][0]["ErrMessage"]
    assert Recipient.objects.get().variables == {"UserName": "Ann"}


@pytest.mark.parametrize(
    "params",
    [
        {"Detail": "{"},
        {"Detail": "{}"},
        {"Detail": "[1]"},
        {"Detail": "[]"},
        {"Detail": json.dumps([{"e": f"a{n}@x.example.org"} for n in range(501)])},
        {"CustomDetail": '[{"Email": "a@x.example.org", "CustomData": [1]}]'},
    ],
)
def test_other_shapes_are_refused(api, readers, params):
    assert api.refusal("SaveReceiverDetail", ReceiverId=readers.pk, **params).endswith(".Malformed")
    assert addresses(readers) == []


def test_nobody_empties_a_list_by_leaving_something_out(api, readers):
    RecipientFactory(list=readers, address="ann@x.example.org")
    readers.count = 1
    readers.save()

    assert api.refusal("DeleteReceiverDetail", ReceiverId=readers.pk) == "MissingEmail"
    unknown = api.refusal("DeleteReceiverDetail", ReceiverId=readers.pk, Email="ben@x.example.org")
    assert unknown == "InvalidReceiverDetail.NotFound"
    api("DeleteReceiverDetail", ReceiverId=readers.pk, Email=" ANN@x.example.org")
    assert addresses(readers) == []


def test_rows_are_read_page_by_page(api, readers):
    for name in "abc":
        RecipientFactory(list=readers, address=f"{name}@x.example.org")

    first = api("QueryReceiverDetail", ReceiverId=readers.pk, PageSize=2)
    rest = api("QueryReceiverDetail", ReceiverId=readers.pk, PageSize=2, NextStart=first["NextStart"])

    found = [each["Email"] for page in (first, rest) for each in page["data"]["detail"]]
    assert found == ["a@x.example.org", "b@x.example.org", "c@x.example.org"]
    assert rest["NextStart"] == ""


def test_lists_are_read_page_by_page(api, account):
    for number in range(3):
        RecipientListFactory(account=account, name=f"list {number}")

    first = api("QueryReceiverByParam", PageSize=2)
    rest = api("QueryReceiverByParam", PageSize=2, NextStart=first["NextStart"])
    second = api("QueryReceiverByParam", PageSize=2, PageNo=2)

    assert [each["ReceiversName"] for each in first["data"]["receiver"]] == ["list 2", "list 1"]
    assert rest["data"] == second["data"]
    assert (rest["TotalCount"], rest["NextStart"]) == (3, "")
