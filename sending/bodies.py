"""Submitted messages: small ones in their row, large ones in storage, each once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any
from uuid import uuid4

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from mailpush.lib import files
from sending.models import Content

LARGEST_IN_ROW = 256 * 1024  # bytes; the database is shared by all workers, storage is not on the hot path


def store(mime: bytes) -> dict[str, Any]:
    """Return the fields of `Content` that hold the message.

    :raises NotKept: it is a large one, and storage does not take it.
    """
    if len(mime) <= LARGEST_IN_ROW:
        return {"kind": Content.Kind.MIME, "mime": mime}
    name = files.keep(f"messages/{uuid4()}.eml", ContentFile(mime))
    try:
        _sync(name)
    except OSError as error:
        files.discard(name)
        raise files.NotKept(f"{name} could not be written to the disk") from error
    return {"kind": Content.Kind.MIME, "mime_file": name}


def discard(stored: Mapping[str, Any]) -> None:
    """Remove what `store` has put into storage for a message that was not accepted after all."""
    if name := stored.get("mime_file"):
        default_storage.delete(name)


def load(content: Content) -> bytes:
    """Return the submitted message."""
    if content.mime is not None:
        return bytes(content.mime)
    with default_storage.open(content.mime_file, "rb") as file:
        return bytes(file.read())


def _sync(name: str) -> None:
    """Put a file and its name on the disk, as a commit does for rows; other storages have done so."""
    try:
        path = Path(default_storage.path(name))
    except NotImplementedError:
        return
    for each in (path, path.parent):
        handle = os.open(each, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
