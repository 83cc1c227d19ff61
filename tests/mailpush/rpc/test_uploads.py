"""Uploads as the SDKs make them: a place is asked for, the file posted to it, and named by its URL."""

from datetime import timedelta
from threading import Thread
from xml.etree import ElementTree as ET

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from mailpush.rpc import tasks, uploads
from mailpush.rpc.models import Upload
from sending import checks
from sending.models import AddressFile

pytestmark = pytest.mark.django_db


@pytest.fixture
def place(api):
    return api("AuthorizeFileUpload", Version="2019-12-19", Product="Dm", RegionId="cn-hangzhou")


def post(client, place, content=b"hello", **changes):
    fields = {
        "OSSAccessKeyId": place["AccessKeyId"],
        "Signature": place["Signature"],
        "policy": place["EncodedPolicy"],
        "key": place["ObjectKey"],
        "success_action_status": "201",
        "file": SimpleUploadedFile("name", content),
        **changes,
    }
    return client.post("/", fields, headers={"host": f"{place['Bucket']}.{place['Endpoint']}"})


def url(place):
    return f"http://{place['Bucket']}.{place['Endpoint']}/{place['ObjectKey']}"


def test_an_upload_is_found_by_its_url(client, api, place):
    response = post(client, place)

    assert (response.status_code, ET.fromstring(response.content).findtext("Key")) == (201, place["ObjectKey"])
    assert uploads.content_at(url(place), account=api.account) == b"hello"


def test_another_account_does_not_find_it(client, place, stranger):
    post(client, place)

    with pytest.raises(uploads.ApiError):
        uploads.content_at(url(place), account=stranger.account)


@pytest.mark.parametrize("changes", [{"Signature": "x"}, {"key": "0/other"}, {"file": "no file"}])
def test_nothing_else_is_taken(client, place, changes):
    response = post(client, place, **changes)

    assert (response.status_code, ET.fromstring(response.content).tag) == (400, "Error")
    assert not Upload.objects.exists()


def test_what_is_posted_once_more_takes_the_place_of_the_first(client, api, place):
    post(client, place)
    first = Upload.objects.get().file
    post(client, place, b"again")

    assert uploads.content_at(url(place), account=api.account) == b"again"
    assert not default_storage.exists(first)


def test_what_storage_does_not_take_is_refused(client, place, full_storage):
    response = post(client, place)

    told = ET.fromstring(response.content)
    assert (response.status_code, told.findtext("Code")) == (503, "ServiceUnavailable")
    assert "The platform cannot keep files at the moment" in told.findtext("Message")
    assert not Upload.objects.exists()


def test_what_finds_no_room_while_it_comes_in_is_refused(client, place, settings, tmp_path):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE, settings.FILE_UPLOAD_TEMP_DIR = 10, str(tmp_path / "none")

    response = post(client, place, b"x" * 2000)

    assert (response.status_code, ET.fromstring(response.content).findtext("Code")) == (503, "ServiceUnavailable")
    assert not Upload.objects.exists()


def test_a_file_that_is_posted_again_in_vain_leaves_the_first(client, api, place, settings, tmp_path):
    post(client, place)
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE, settings.FILE_UPLOAD_TEMP_DIR = 10, str(tmp_path / "none")

    assert post(client, place, b"x" * 2000).status_code == 503

    assert uploads.content_at(url(place), account=api.account) == b"hello"


def test_sizes_are_bounded(client, place, monkeypatch):
    monkeypatch.setattr(uploads, "LARGEST", 4)
    assert ET.fromstring(post(client, place).content).findtext("Code") == "EntityTooLarge"

    monkeypatch.setattr(uploads, "LARGEST", 5)
    monkeypatch.setattr(uploads, "MOST_BYTES", 4)
    assert ET.fromstring(post(client, place).content).findtext("Code") == "UploadsFull"


def test_what_is_far_too_large_is_not_even_read(client, place, monkeypatch):
    monkeypatch.setattr(uploads, "LARGEST", 4)

    response = post(client, place, b"x" * uploads.FIELDS_BYTES, Signature="x")

    assert ET.fromstring(response.content).findtext("Code") == "EntityTooLarge"


def test_uploads_go_after_a_day(client, place):
    post(client, place)
    upload = Upload.objects.get()
    tasks.purge_uploads()
    assert Upload.objects.exists()

    Upload.objects.update(created_at=timezone.now() - timedelta(days=1, minutes=1))
    tasks.purge_uploads()

    assert not Upload.objects.exists()
    assert not default_storage.exists(upload.file)


def test_a_file_of_addresses_is_examined(client, api, place, settings):
    settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", 9)]  # nobody answers: what is disposable is known without
    post(client, place, "地址,x\na@mailinator.com,1\nA@mailinator.com,2\nnobody,3\n=1+1,4\n".encode("gb18030"))
    file = {"FileName": "f.csv", "AddressColumn": 1, "HasHeaderRow": "True", "RemoveDuplicate": "True"}
    token = api("SendValidateFile", FileUrl=url(place), **file)["FileId"]
    assert api("GetValidateFileStatus", FileId=token)["Status"] == "pending"
    assert api.refusal("GetValidateFile", FileId=token) == "InvalidFileStatus.NotFinished"
    assert api.refusal("DeleteValidateFile", FileId=token) == "InvalidFileStatus.NotFinished"

    checks.check_file(AddressFile.objects.get().pk)

    status = api("GetValidateFileStatus", FileId=token)
    assert (status["Status"], status["Percentage"], status["TotalNum"]) == ("completed", "100%", "3")
    assert (status["DoNotMailNum"], status["InvalidNum"], status["ValidNum"]) == ("1", "2", "0")
    link = api("GetValidateFile", FileId=token)["FileUrl"]
    result = b"".join(client.get(link).streaming_content).decode("utf-8-sig")
    assert result.splitlines() == [
        "Email,Status,SubStatus",
        "a@mailinator.com,DO_NOT_MAIL,DISPOSABLE",
        "nobody,INVALID,INVALID_FORMAT",
        "'=1+1,INVALID,INVALID_FORMAT",
    ]
    assert client.get(link[:-6] + "x.csv").status_code == 404
    api("DeleteValidateFile", FileId=token)
    assert client.get(link).status_code == 404


def test_a_file_of_addresses_that_storage_does_not_take_is_refused(client, api, place, settings, tmp_path):
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(tmp_path)}}
    settings.STORAGES = {**settings.STORAGES, "default": options}
    (tmp_path / "address_files").touch()  # a file where the folder should be
    post(client, place, b"a@example.org\n")
    file = {"FileName": "f", "AddressColumn": 1, "HasHeaderRow": 0, "RemoveDuplicate": 0}

    assert api.refusal("SendValidateFile", FileUrl=url(place), **file) == "ServiceUnavailable"
    assert not AddressFile.objects.exists()


@pytest.mark.parametrize(("content", "column"), [(b"a@x.example.org\n", 2), (b"%PDF-1.7 \xff", 1), (b"", 1)])
def test_a_file_that_is_none_says_so(client, api, place, content, column):
    post(client, place, content)
    file = {"FileName": "f", "AddressColumn": column, "HasHeaderRow": 0, "RemoveDuplicate": 0}
    api("SendValidateFile", FileUrl=url(place), **file)

    checks.check_file(AddressFile.objects.get().pk)

    found = AddressFile.objects.get()
    assert (found.status, bool(found.error), found.source) == ("failed", True, "")


def test_a_file_of_a_dead_worker_is_taken_up_again_but_not_for_ever(api, account, now):
    file = AddressFile.objects.create(account=account, name="f", status="running", attempts=5, claimed_until=now)
    assert checks.unfinished(now=now + timedelta(seconds=1)) == [file.pk]

    checks.check_file(file.pk)

    file.refresh_from_db()
    assert file.status == "failed"


@pytest.mark.django_db(transaction=True)
def test_a_file_of_a_worker_that_is_told_to_stop_is_left_to_the_next_at_once(client, api, place):
    lines = 20_000
    post(client, place, "".join(f"a{number}@mailinator.com\n" for number in range(lines)).encode())
    api("SendValidateFile", FileUrl=url(place), FileName="f", AddressColumn=1, HasHeaderRow=0, RemoveDuplicate=0)
    AddressFile.objects.update(created_at=timezone.now() - timedelta(minutes=1))
    file = AddressFile.objects.get()
    worker = Thread(target=lambda: (checks.check_file(file.pk), connection.close()))
    worker.start()
    while not AddressFile.objects.filter(processed__gt=0).exists():
        assert worker.is_alive()

    checks.begin_to_stop()
    try:
        worker.join()
        checks.check_file(file.pk)  # which the process does no more
        assert checks.unfinished(now=timezone.now()) == [file.pk]
        file.refresh_from_db()
        assert (file.status, file.attempts) == ("queued", 0)
    finally:
        checks._stopping.clear()

    checks.check_file(file.pk)

    file.refresh_from_db()
    assert (file.status, file.total, file.processed, file.do_not_mail) == ("done", lines, lines, lines)


def test_what_a_dead_worker_had_examined_counts_once(account, now):
    file = AddressFile.objects.create(
        account=account, name="f", status="running", attempts=1, claimed_until=now, total=10, processed=10
    )

    checks._claimed(file.pk, now=now + timedelta(seconds=1))

    file.refresh_from_db()
    assert (file.status, file.percent) == ("running", 0)
