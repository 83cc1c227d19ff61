"""Files that storage does not take: refused with a sentence, and nothing of them stays."""

import errno
import os
import resource
from contextlib import contextmanager

import pytest
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import SimpleUploadedFile
from django.test import RequestFactory

from mailpush.lib import files

SENTENCE = "The platform cannot keep files at the moment"


@pytest.fixture(autouse=True)
def location(settings, tmp_path):
    """Where storage is."""
    folder = tmp_path / "files"
    folder.mkdir()
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(folder)}}
    settings.STORAGES = {**settings.STORAGES, "default": options}
    return folder


@contextmanager
def no_file_longer_than(size):
    """Let the system refuse to write more, as on a full disk."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


def posted(content):
    """Return a request with a file, as a browser sends it."""
    fields = {"before": "1", "file": SimpleUploadedFile("list.csv", content), "note": "kept"}
    return RequestFactory().post("/", fields)


def test_a_file_is_kept_whole(location):
    name = files.keep("folder/name.txt", ContentFile(b"all of it"))

    assert (location / name).read_bytes() == b"all of it"


def test_nothing_of_a_file_stays_that_does_not_fit(location):
    with no_file_longer_than(100_000), pytest.raises(files.NotKept):
        files.keep("folder/name.txt", ContentFile(b"x" * 200_000))

    assert not default_storage.exists("folder/name.txt")


def test_a_folder_that_cannot_be_written_to_keeps_nothing(location):
    location.rmdir()
    location.write_text("a file where the folder should be")

    with pytest.raises(files.NotKept):
        files.keep("folder/name.txt", ContentFile(b"x"))


def test_a_service_refuses_what_could_not_be_kept():
    with pytest.raises(files.StorageUnavailable, match=SENTENCE) as refused, files.refusing("file"):
        raise files.NotKept

    assert refused.value.field == "file"


def test_large_uploads_come_in(settings):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE = 1000
    request = posted(b"x" * 200_000)

    with request.FILES["file"] as file:
        assert file.size == 200_000
    assert files.refusal_of(request) is None


@pytest.mark.parametrize("size", [200_000, 100_001])  # found out while it comes in, and when it is complete
def test_an_upload_that_does_not_fit_on_the_disk_is_refused(settings, tmp_path, size):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE, settings.FILE_UPLOAD_TEMP_DIR = 1000, str(tmp_path)
    request = posted(b"x" * size)

    with no_file_longer_than(100_000):
        found = dict(request.FILES)

    assert found == {}
    assert request.POST["before"] == "1"
    with pytest.raises(files.StorageUnavailable, match=SENTENCE):
        files.must_have_come(request)
    assert [path.name for path in tmp_path.iterdir()] == ["files"]


def test_an_upload_without_a_temporary_folder_is_refused(settings, tmp_path):
    settings.FILE_UPLOAD_MAX_MEMORY_SIZE, settings.FILE_UPLOAD_TEMP_DIR = 1000, str(tmp_path / "none")
    request = posted(b"x" * 2000)

    assert dict(request.FILES) == {}
    assert request.POST["note"] == "kept"
    with pytest.raises(files.StorageUnavailable):
        files.must_have_come(request)


def test_what_cannot_be_removed_stays_and_is_logged(location, caplog):
    location.rmdir()
    location.write_text("a file where the folder should be")

    files.discard("folder/name.txt")

    assert "stays in storage" in caplog.text
    assert os.strerror(errno.ENOTDIR) in caplog.text
