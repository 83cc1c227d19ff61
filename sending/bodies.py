"""Submitted messages: small ones in their row, large ones in storage, each once."""

from uuid import uuid4

from django.core.files.base import ContentFile
from django.core.files.storage import default_storage

from sending.models import Content

LARGEST_IN_ROW = 256 * 1024  # bytes; the database is shared by all workers, storage is not on the hot path


def store(mime: bytes) -> dict[str, object]:
    """Return the fields of `Content` that hold the message."""
    if len(mime) <= LARGEST_IN_ROW:
        return {"kind": Content.Kind.MIME, "mime": mime}
    name = default_storage.save(f"messages/{uuid4()}.eml", ContentFile(mime))
    return {"kind": Content.Kind.MIME, "mime_file": name}


def load(content: Content) -> bytes:
    """Return the submitted message."""
    if content.mime is not None:
        return bytes(content.mime)
    with default_storage.open(content.mime_file, "rb") as file:
        return bytes(file.read())
