"""Files in storage: taken whole or not at all, whatever fills the disk or keeps us from writing to it."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

from django.core.files import File
from django.core.files.storage import default_storage
from django.core.files.uploadedfile import UploadedFile
from django.core.files.uploadhandler import SkipFile, StopUpload, TemporaryFileUploadHandler
from django.http import HttpRequest
from django.utils.translation import gettext as _

from mailpush.lib.refusals import Refusal

log = logging.getLogger(__name__)


class NotKept(OSError):
    """Storage did not take a file, and nothing of it is there."""


class StorageUnavailable(Refusal):
    """What came with a file cannot be done at the moment."""

    code = "storage_unavailable"


def keep(name: str, content: "File[Any]") -> str:
    """Put a file into storage, under a name that nobody else uses; return the name that it got.

    :raises NotKept: the disk is full, its folder not writable, or the object store does not answer.
    """
    try:
        return str(default_storage.save(name, content))
    except Exception as error:
        log.exception("%s could not be put into storage", name)
        discard(name)
        raise NotKept(f"{name} could not be put into storage") from error


def discard(name: str) -> None:
    """Remove a file, or what there is of it; where even that fails, the log says so."""
    try:
        default_storage.delete(name)
    except Exception:
        log.exception("%s stays in storage", name)


@contextmanager
def refusing(field: str = "") -> Iterator[None]:
    """Tell the caller what a full storage means; `field` is the input that the file came in.

    :raises StorageUnavailable: a file was not kept.
    """
    try:
        yield
    except NotKept as error:
        raise unavailable(field) from error


def unavailable(field: str = "") -> StorageUnavailable:
    return StorageUnavailable(
        _(
            "The platform cannot keep files at the moment: its storage is full or cannot be written to. "
            "Nothing was changed. Try again later; if it stays so, tell the operator."
        ),
        field=field,
    )


class TemporaryUploads(TemporaryFileUploadHandler):
    """Larger uploads on the disk while they come in; where it takes no more, `refusal_of` the request tells.

    The rest is read and dropped: a browser whose sending is cut off shows no answer.
    """

    def new_file(self, *args: Any, **kwargs: Any) -> None:
        try:
            super().new_file(*args, **kwargs)
        except OSError as error:
            self._give_up(error)
            raise SkipFile from None

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes | None:
        try:
            return super().receive_data_chunk(raw_data, start)
        except OSError as error:
            self._give_up(error)
            raise SkipFile from None

    def file_complete(self, file_size: int) -> "UploadedFile[Any] | None":
        try:
            return super().file_complete(file_size)  # writes what is still in memory
        except OSError as error:
            self._give_up(error)
            raise StopUpload(connection_reset=False) from None

    def _give_up(self, error: OSError) -> None:
        log.error("An upload could not be written to the disk", exc_info=error)
        assert self.request
        with suppress(OSError, AttributeError):  # it may have no file yet, or fail once more
            self.file.close()
        refuse(self.request, unavailable())


def refuse(request: HttpRequest, refusal: Refusal) -> None:
    """Note why a file of the request was not taken; its view has to answer."""
    request.upload_refusal = refusal  # type: ignore[attr-defined]


def refusal_of(request: HttpRequest) -> Refusal | None:
    """Return why a file of the request was not taken, once its body has been read."""
    found: Refusal | None = getattr(request, "upload_refusal", None)
    return found


def must_have_come(request: HttpRequest) -> None:
    """Refuse a request of which a file was not taken.

    :raises Refusal: saying why.
    """
    if refusal := refusal_of(request):
        raise refusal
