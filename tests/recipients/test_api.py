"""Lists and recipients through the REST API."""

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from recipients.imports import work
from recipients.models import Import, Recipient
from recipients.services import many
from tests.factories import RecipientFactory, RecipientListFactory, SuppressionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def readers(account):
    return RecipientListFactory(account=account)


def test_recipients_are_added_updated_and_rejected_in_one_call(program, readers):
    RecipientFactory(list=readers, address="Anna@readers.example.org", variables={"UserName": "Anna", "Mobile": "1"})
    readers.count = 1
    readers.save()
    entries = [
        {"address": "anna@readers.example.org", "variables": {"UserName": "Anna Smith"}},
        {"address": "ben@readers.example.org"},
        {"address": "nobody"},
        {"address": "ben@readers.example.org", "variables": {"NickName": "Ben"}},
        {"address": "carl@readers.example.org", "variables": {"Colour": "red"}},
        {"address": "dora@readers.example.org", "variables": {"Gender": "x" * 26}},
    ]

    answer = program.call("POST", f"lists/{readers.pk}/recipients", {"recipients": entries})

    body = answer.json()
    assert (body["added"], body["updated"], body["duplicate"]) == (1, 1, 1)
    assert [(one["index"], one["code"]) for one in body["rejected"]] == [
        (2, "bad_recipient"),
        (4, "unknown_variable"),
        (5, "value_too_long"),
    ]
    assert dict(Recipient.objects.values_list("address", "variables")) == {
        "Anna@readers.example.org": {"UserName": "Anna Smith", "Mobile": "1"},
        "ben@readers.example.org": {"NickName": "Ben"},
    }
    readers.refresh_from_db()
    assert readers.count == 2


def test_ten_thousand_are_added_at_once_and_no_more(program, readers, django_assert_max_num_queries):
    entries = [{"address": f"r{n}@readers.example.org"} for n in range(many.MOST)]

    with django_assert_max_num_queries(16):
        answer = program.call("POST", f"lists/{readers.pk}/recipients", {"recipients": entries})

    assert answer.json()["added"] == many.MOST
    answer = program.call("POST", f"lists/{readers.pk}/recipients", {"recipients": [*entries, entries[0]]})
    assert (answer.status_code, answer.json()["field"]) == (422, "recipients")


@pytest.mark.parametrize(
    ("entry", "field"),
    [
        ("a@b.example.org", "recipients[0].address"),
        ({"address": 7}, "recipients[0].address"),
        ({"address": "a@b.example.org", "name": "A"}, "recipients[0].name"),
        ({"address": "a@b.example.org", "variables": {"UserName": 1}}, "recipients[0].variables"),
        ({"address": "a@b.example.org\0"}, ""),
    ],
)
def test_what_is_no_entry_is_refused(program, readers, entry, field):
    answer = program.call("POST", f"lists/{readers.pk}/recipients", {"recipients": [entry]})

    if field:
        assert (answer.status_code, answer.json()["field"]) == (422, field)
    else:
        assert answer.json()["rejected"][0]["code"] == "bad_recipient"
    assert not Recipient.objects.exists()


def test_a_recipient_is_found_changed_and_taken_off(program, readers):
    readers.count = 1
    readers.save()
    recipient = RecipientFactory(list=readers, address="Anna@readers.example.org")
    path = f"lists/{readers.pk}/recipients"

    (found,) = program.call("GET", f"{path}?address=anna@readers.example.org").json()["data"]
    changed = program.call("PUT", f"{path}/{recipient.pk}", {"address": "anna@new.example.org"})

    assert found["id"] == str(recipient.pk)
    assert changed.json()["address"] == "anna@new.example.org"
    assert program.call("DELETE", f"{path}/{recipient.pk}").status_code == 204
    assert program.call("GET", f"{path}/{recipient.pk}").status_code == 404


def test_a_list_is_made_changed_and_deleted(program):
    made = program.call("POST", "lists", {"name": "Readers", "alias": "readers@lists.example.com"})
    path = f"lists/{made.json()['id']}"

    changed = program.call("PUT", path, {"name": "All readers", "alias": "readers@lists.example.com"})

    assert (made.status_code, changed.json()["name"]) == (201, "All readers")
    again = program.call("POST", "lists", {"name": "All readers", "alias": "other@lists.example.com"})
    assert (again.status_code, again.json()["code"], again.json()["field"]) == (409, "list_exists", "name")
    assert program.call("DELETE", path).status_code == 204
    assert program.call("GET", path).status_code == 404


def test_a_file_is_uploaded_and_watched(program, readers):
    file = SimpleUploadedFile("readers.csv", b"EAddr\nanna@readers.example.org\nnobody\n")
    started = program.post(f"/api/v1/lists/{readers.pk}/imports", {"file": file})
    job = Import.objects.get()
    work.run(job.pk)

    shown = program.call("GET", f"imports/{job.pk}").json()
    rejected = program.call("GET", f"imports/{job.pk}/rejected")

    assert (started.status_code, started.json()["status"]) == (202, "queued")
    assert (shown["status"], shown["read"], shown["added"], shown["invalid"]) == ("done", 2, 1, 1)
    assert b"nobody" in b"".join(rejected.streaming_content)
    assert [entry["id"] for entry in program.call("GET", f"lists/{readers.pk}/imports").json()["data"]] == [str(job.pk)]
    rejected.close()


def test_an_upload_has_a_limit(program, readers, settings):
    settings.LIST_UPLOAD_MAX_BYTES = 10
    file = SimpleUploadedFile("readers.csv", b"anna@readers.example.org\n")

    answer = program.post(f"/api/v1/lists/{readers.pk}/imports", {"file": file})

    assert (answer.status_code, answer.json()["code"]) == (413, "file_too_large")
    assert not Import.objects.exists()


def test_an_upload_that_storage_does_not_take_is_refused(program, readers, full_storage):
    file = SimpleUploadedFile("readers.csv", b"anna@readers.example.org\n")

    answer = program.post(f"/api/v1/lists/{readers.pk}/imports", {"file": file})

    told = answer.json()
    assert (answer.status_code, told["code"], told["field"]) == (503, "storage_unavailable", "file")
    assert "Nothing was changed" in told["message"]
    assert not Import.objects.exists()


def test_an_upload_that_finds_no_room_while_it_comes_in_is_refused(program, readers, settings, tmp_path):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE, settings.FILE_UPLOAD_TEMP_DIR = 10, str(tmp_path / "none")
    file = SimpleUploadedFile("readers.csv", b"anna@readers.example.org\n")

    answer = program.post(f"/api/v1/lists/{readers.pk}/imports", {"file": file})

    assert (answer.status_code, answer.json()["code"]) == (503, "storage_unavailable")
    assert not Import.objects.exists()


def test_an_upload_needs_a_file(program, readers):
    answer = program.post(f"/api/v1/lists/{readers.pk}/imports", {})

    assert (answer.status_code, answer.json()["field"]) == (422, "file")
    answer = program.call("POST", f"lists/{readers.pk}/imports", {})
    assert answer.status_code == 415


def test_suppressions_are_added_and_removed_with_a_note(program, account):
    known = SuppressionFactory(account=account, address="a@readers.example.org")
    body = {"addresses": ["A@readers.example.org", "b@readers.example.org"], "note": "by phone"}

    assert program.call("POST", "suppressions", body).json() == {"added": 1}
    assert program.call("POST", "suppressions", {"addresses": ["no"]}).json()["code"] == "bad_addresses"
    without = program.call("DELETE", f"suppressions/{known.pk}")
    assert (without.status_code, without.json()["field"]) == (422, "note")
    assert program.call("DELETE", f"suppressions/{known.pk}?note=asked").status_code == 204
    (left,) = program.call("GET", "suppressions?reason=manual").json()["data"]
    assert left["address"] == "b@readers.example.org"
