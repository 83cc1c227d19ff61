"""Files into lists: what they come to, and what remains when things go wrong."""

import csv
import io
import os
import signal
import subprocess
import sys
import threading
import time
from datetime import timedelta

import pytest
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db import connection
from django.utils import timezone

from accounts.actors import Actor, NotAllowed
from accounts.models import Role
from recipients import tasks
from recipients.imports import claims, work
from recipients.imports.rejects import defused
from recipients.models import Import, Recipient, RecipientList
from recipients.services import imports, recipients
from tests.factories import RecipientFactory, RecipientListFactory
from tests.mailpush.lib.test_files import no_file_longer_than

pytestmark = pytest.mark.django_db

COUNTS = ("read", "added", "updated", "duplicate", "invalid")


def counts(job: Import) -> dict[str, int]:
    job.refresh_from_db()
    assert job.status == Import.Status.DONE, job.error
    return {name: getattr(job, name) for name in COUNTS}


def rows(recipient_list: RecipientList) -> dict[str, dict[str, str]]:
    recipient_list.refresh_from_db()
    found = dict(recipient_list.recipients.values_list("address", "variables"))
    assert recipient_list.count == len(found)
    return found


def rejected(job: Import) -> list[list[str]]:
    with job.rejects.open("rb") as file:
        content = file.read()
    assert content.startswith(b"\xef\xbb\xbf")  # for Excel
    return list(csv.reader(io.StringIO(content.decode("utf-8-sig"))))


def test_every_line_is_accounted_for(recipient_list, imported):
    RecipientFactory(list=recipient_list, address="Known@x.com", variables={"UserName": "Old", "Mobile": "1"})
    RecipientFactory(list=recipient_list, address="same@x.com", variables={"UserName": "Same"})
    RecipientList.objects.update(count=2)

    job = imported(
        "{EAddr},{UserName},{City}\n"
        "new@x.com,First,Rome\n"
        "KNOWN@x.com,New,Rome\n"
        "same@x.com,Same,\n"
        "\n"
        "nobody,N,\n"
        "NEW@x.com,Last,\n"
    )

    assert counts(job) == {"read": 5, "added": 1, "updated": 2, "duplicate": 1, "invalid": 1}
    assert rows(recipient_list) == {
        "NEW@x.com": {"UserName": "Last"},
        "Known@x.com": {"UserName": "New", "Mobile": "1"},
        "same@x.com": {"UserName": "Same"},
    }
    assert (job.encoding, job.unused_columns, job.done) == ("utf-8", "{City}", job.size)
    assert [line[:2] for line in rejected(job)] == [["Line", "Text"], ["6", "nobody,N,"]]


@pytest.mark.django_db(transaction=True)
def test_a_file_that_turns_out_to_be_none_while_its_rows_are_copied(recipient_list, imported):
    job = imported("".join(f"reader{number}@x.com\n" for number in range(20_000)) + "x" * 300_000)

    assert (job.status, job.error[:26]) == (Import.Status.FAILED, "Line 20001 never ends. Lis")
    assert rows(recipient_list) == {}


def test_uploading_again_changes_nothing(recipient_list, imported):
    text = "a@x.com,张三\nb@x.com,李四\n"
    imported(text)
    before = list(Recipient.objects.order_by("id").values_list("id", "address", "variables"))

    job = imported(text.encode("gb18030"))

    assert counts(job) == {"read": 2, "added": 0, "updated": 2, "duplicate": 0, "invalid": 0}
    assert job.encoding == "gb18030"
    assert list(Recipient.objects.order_by("id").values_list("id", "address", "variables")) == before


def test_awkward_values_arrive_as_they_are(recipient_list, imported):
    imported('a@x.com,"Back\\slash ""quoted"" \\N \\t",=1+1\n')

    assert rows(recipient_list) == {"a@x.com": {"UserName": 'Back\\slash "quoted" \\N \\t', "NickName": "=1+1"}}


def test_upload_is_kept_for_the_import_alone(upload, imported):
    waiting = upload("a@x.com\n")
    assert default_storage.exists(waiting.file.name)
    name = waiting.file.name

    work.run(waiting.pk)

    waiting.refresh_from_db()
    assert not default_storage.exists(name)
    assert not waiting.file


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{EAddr},{UserName}\n", "The file has a heading but no lines."),
        ("nobody\nno one\n", "None of the 2 lines can be used."),
        ("UserName,Mobile\nTom,1\n", "none with the addresses"),
        (b"a@x.com,\x00\x00\x01" * 3000, "not a text file"),
        ("x" * 300_000, "Line 1 never ends."),
    ],
)
def test_useless_files_fail_with_a_sentence_and_leave_the_list_alone(
    recipient_list, actor, now, content, sentence, settings
):
    recipients.add(recipient_list, address="old@x.com", variables={}, by=actor, now=now)
    body = content.encode() if isinstance(content, str) else content
    job = Import(list=recipient_list, filename="f.csv", size=len(body), created_by=actor.name, created_at=now)
    job.file.save("f.csv", SimpleUploadedFile("f.csv", body), save=True)

    work.run(job.pk)

    job.refresh_from_db()
    assert job.status == Import.Status.FAILED
    assert sentence in job.error
    assert rows(recipient_list) == {"old@x.com": {}}


def test_failed_import_shows_its_rejected_lines(imported):
    job = imported("nobody\n")

    assert (job.status, job.read, job.invalid) == (Import.Status.FAILED, 1, 1)
    assert rejected(job)[1][:2] == ["1", "nobody"]


@pytest.mark.parametrize(
    ("body", "refusal", "sentence"),
    [
        (b"", imports.NotAListFile, "The file is empty."),
        (b"PK\x03\x04 [Content_Types].xml", imports.NotAListFile, "This is an Excel file. Save it as CSV first"),
        (b"%PDF-1.7", imports.NotAListFile, "This is a PDF."),
        (b"a@x.com\n" * 20, imports.FileTooLarge, "larger than 100"),
    ],
)
def test_wrong_files_are_refused_at_the_door(upload, settings, body, refusal, sentence):
    settings.LIST_UPLOAD_MAX_BYTES = 100

    with pytest.raises(refusal) as refused:
        upload(body)

    assert sentence in refused.value.message
    assert refused.value.field == "file"
    assert not Import.objects.exists()


def test_waiting_files_are_limited(upload, monkeypatch):
    monkeypatch.setattr(imports, "MOST_WAITING", 1)
    upload("a@x.com\n")

    with pytest.raises(imports.TooManyImports):
        upload("a@x.com\n")


def test_strangers_and_viewers_upload_nothing(recipient_list, stranger, member, now):
    file = SimpleUploadedFile("list.csv", b"a@x.com\n")

    with pytest.raises(RecipientList.DoesNotExist):
        imports.start(recipient_list, file=file, by=stranger, now=now)
    with pytest.raises(NotAllowed):
        imports.start(recipient_list, file=file, by=Actor.member(member(Role.VIEWER)), now=now)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@x", "\tx"])
def test_rejected_lines_are_no_formulas(imported, text):
    job = imported(f"a@x.com\n{text}\n")

    assert rejected(job)[1][1].startswith("'")


def test_plain_text_is_not_touched():
    assert defused("a=b") == "a=b"


@pytest.mark.django_db(transaction=True)  # as a worker has it: what fails ends no transaction around it
def test_an_import_that_finds_no_room_on_the_disk_goes_on_later(upload, recipient_list):
    job = upload("a@x.com\n" + f"{'nobody ' * 100}\n" * 300)
    for _ in range(claims.MOST_ATTEMPTS + 1):
        with no_file_longer_than(100_000):
            tasks.run_import(import_id=job.pk)
        assert claims.resumable(timezone.now()) == []
        Import.objects.update(claimed_until=timezone.now() - timedelta(seconds=1))
    assert default_storage.exists(job.file.name)
    assert rows(recipient_list) == {}

    tasks.run_import(import_id=job.pk)

    assert counts(job) == {"read": 301, "added": 1, "updated": 0, "duplicate": 0, "invalid": 300}


# Turns and claims


def test_imports_of_one_list_take_turns(upload, recipient_list, account, now):
    first, second = upload("a@x.com,1\n"), upload("a@x.com,2\n")
    elsewhere = upload("a@x.com\n", into=RecipientListFactory(account=account))

    assert claims.claim(second.pk, now=now) is None
    assert claims.claim(first.pk, now=now)
    assert claims.claim(elsewhere.pk, now=now)
    assert claims.claim(first.pk, now=now) is None
    assert claims.resumable(now) == []


def test_a_task_goes_on_with_what_waited_for_its_list(upload, recipient_list):
    first, second = upload("a@x.com,1\n"), upload("a@x.com,2\n")

    tasks.run_import(import_id=second.pk)
    second.refresh_from_db()
    assert second.status == Import.Status.QUEUED

    tasks.run_import(import_id=first.pk)
    assert counts(first)["added"] == 1
    assert counts(second)["updated"] == 1
    assert rows(recipient_list) == {"a@x.com": {"UserName": "2"}}


def test_lost_wake_up_is_found_again(upload, now):
    job = upload("a@x.com\n")

    assert claims.resumable(now) == []
    assert claims.resumable(now + timedelta(seconds=31)) == [job.pk]


def test_worker_whose_claim_ran_out_cannot_write(upload, recipient_list, now):
    job = upload("a@x.com\n")
    slow = claims.claim(job.pk, now=now)
    later = now + claims.CLAIM_LASTS + timedelta(seconds=1)
    assert claims.resumable(later) == [job.pk]
    assert claims.claim(job.pk, now=later).attempts == 2

    for deed in (
        lambda: claims.renew(slow, done=1, now=later),
        lambda: claims.hold(slow),
        lambda: claims.finish(slow, now=later),
        lambda: claims.fail(slow, error="x", now=later),
    ):
        with pytest.raises(claims.LostRace):
            deed()
    assert default_storage.exists(job.file.name)


def test_file_that_ends_its_workers_is_given_up(upload, now):
    job = upload("a@x.com\n")
    for attempt in range(claims.MOST_ATTEMPTS):
        assert claims.claim(job.pk, now=now + attempt * 2 * claims.CLAIM_LASTS)

    assert claims.claim(job.pk, now=now + timedelta(hours=1)) is None
    job.refresh_from_db()
    assert (job.status, job.error) == (
        Import.Status.FAILED,
        "The import stopped 5 times. Split the file and try again.",
    )


def test_missing_upload_fails_with_a_sentence(upload):
    job = upload("a@x.com\n")
    default_storage.delete(job.file.name)

    work.run(job.pk)

    job.refresh_from_db()
    assert job.error == "The uploaded file is gone. Upload it again."


# Real processes and connections


@pytest.mark.django_db(transaction=True)
def test_two_workers_do_each_import_once(upload, recipient_list):
    jobs = [upload("".join(f"u{n}@x.com\n" for n in range(start, start + 3000))) for start in (0, 1500, 0)]

    def do() -> None:
        try:
            for job in jobs:
                tasks.run_import(import_id=job.pk)
        finally:
            connection.close()

    threads = [threading.Thread(target=do) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [counts(job)["added"] for job in jobs] == [3000, 1500, 0]
    assert [counts(job)["updated"] for job in jobs] == [0, 1500, 3000]
    assert len(rows(recipient_list)) == 4500
    assert set(Import.objects.values_list("attempts", flat=True)) == {1}


WORKER = """
import signal
import sys
import django
from django.conf import settings
from mailpush import settings as own
own.DATABASES["default"]["NAME"] = sys.argv[1]
own.STORAGES["default"]["OPTIONS"]["location"] = sys.argv[2]
django.setup()
from celery.signals import worker_shutting_down
from recipients import tasks
from recipients.imports import staging, work
signal.signal(signal.SIGTERM, lambda *_: worker_shutting_down.send(sender="worker"))
work.SHOW_EVERY = 0
real = getattr(staging.Staging, sys.argv[4])
def slow(self, *args, **kwargs):
    result = real(self, *args, **kwargs)
    print("there", flush=True)
    sys.stdin.readline()
    return result
setattr(staging.Staging, sys.argv[4], slow)
tasks.run_import(import_id=int(sys.argv[3]))
"""


def worker_at(step, job):
    """Start a worker on the import; it says "there" when it has come to the step, and waits for a line."""
    return subprocess.Popen(
        [
            *(sys.executable, "-c", WORKER, connection.settings_dict["NAME"]),
            *(default_storage.location, str(job.pk), step),
        ],
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "mailpush.settings"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("step", ["add", "merge"])
def test_killed_worker_leaves_nothing_and_its_successor_counts_right(upload, recipient_list, actor, now, step):
    recipients.add(recipient_list, address="u1@x.com", variables={}, by=actor, now=now)
    job = upload("".join(f"u{n}@x.com,Name {n}\n" for n in range(30_000)) + "u5@x.com\nnobody\n")
    with worker_at(step, job) as worker:
        assert worker.stdout.readline() == "there\n"
        if step == "merge":  # in its transaction: its lock says that it lives, however old the claim
            assert claims.resumable(timezone.now() + timedelta(days=1)) == []
        worker.send_signal(signal.SIGKILL)

    assert list(rows(recipient_list)) == ["u1@x.com"]
    job.refresh_from_db()
    assert job.status == Import.Status.RUNNING
    assert claims.claim(job.pk, now=timezone.now()) is None
    if step == "merge":  # which may take longer than the worker is given to stop
        assert job.claimed_until < timezone.now() + claims.LOCKED_WITHIN

    Import.objects.filter(pk=job.pk).update(claimed_until=timezone.now() - timedelta(seconds=1))
    wait_for(lambda: claims.resumable(timezone.now()) == [job.pk])
    tasks.run_import(import_id=job.pk)

    assert counts(job) == {"read": 30_002, "added": 29_999, "updated": 1, "duplicate": 1, "invalid": 1}
    assert len(rows(recipient_list)) == 30_000


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("stops", [1, claims.MOST_ATTEMPTS + 1])
def test_worker_that_is_told_to_stop_leaves_the_import_to_the_next_at_once(upload, recipient_list, stops):
    job = upload("".join(f"u{n}@x.com\n" for n in range(30_000)))
    waiting = upload("a@x.com\n")
    for _ in range(stops):
        with worker_at("add", job) as worker:
            assert worker.stdout.readline() == "there\n"
            worker.send_signal(signal.SIGTERM)
            worker.communicate("\n" * 100, timeout=30)
        assert worker.returncode == 0
        assert claims.resumable(timezone.now()) == [job.pk]

    assert rows(recipient_list) == {}
    waiting.refresh_from_db()
    assert waiting.status == Import.Status.QUEUED

    tasks.run_import(import_id=job.pk)

    assert counts(job)["added"] == 30_000


def wait_for(is_so) -> None:
    """The server notices a killed client a moment later."""
    for _ in range(200):
        if is_so():
            return
        time.sleep(0.05)
    pytest.fail("It did not become so.")
