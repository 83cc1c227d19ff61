"""What the lists' pages share: uploads that stop at their limit, pages of big tables, CSV downloads."""

import csv
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import urlencode

from django.conf import settings
from django.core.files.uploadhandler import FileUploadHandler, StopUpload
from django.http import HttpRequest, HttpResponseBase, StreamingHttpResponse
from django.views.decorators.csrf import csrf_exempt, csrf_protect

from mailpush.lib import files
from recipients.imports.rejects import defused
from recipients.services import imports

PAGE_SIZE = 20


class UploadLimit(FileUploadHandler):
    """Ends an upload at the first byte over the limit, so that it fills no disk."""

    def __init__(self, request: HttpRequest | None = None) -> None:
        super().__init__(request)
        self.received = 0

    def receive_data_chunk(self, raw_data: bytes, start: int) -> bytes:  # noqa: ARG002 - Django's signature
        self.received += len(raw_data)
        if self.received > settings.LIST_UPLOAD_MAX_BYTES:
            assert self.request
            files.refuse(self.request, imports.too_large())
            # The rest is read and dropped: a browser whose sending is cut off shows no answer.
            raise StopUpload(connection_reset=False)
        return raw_data

    def file_complete(self, file_size: int) -> None:  # noqa: ARG002 - Django's signature
        return None


def limited_upload(view: Callable[..., HttpResponseBase]) -> Callable[..., HttpResponseBase]:
    """Let a view take files up to LIST_UPLOAD_MAX_BYTES; `files.refusal_of` the request tells of larger ones."""
    protected = csrf_protect(view)

    @csrf_exempt  # checked by `protected`: the check reads the body, so the limit must be set before it
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.upload_handlers.insert(0, UploadLimit(request))
        return protected(request, *args, **kwargs)

    return wrapper


@dataclass(frozen=True, slots=True)
class Slice:
    """A page of a table too big to count: found by the place it begins at, not by its number."""

    rows: Sequence[Any]
    first_url: str  # empty on the first page
    next_url: str  # empty on the last one


def sliced(request: HttpRequest, rows: Any, *, place: str, descending: bool = False) -> Slice:
    """Return the page that `?after=` names, of rows whose `place` (a field or annotation) is unique."""
    after = request.GET.get("after", "").replace("\0", "")
    if after and (not descending or after.isdecimal()):
        rows = rows.filter(**{f"{place}__{'lt' if descending else 'gt'}": after})
    found = list(rows.order_by(f"-{place}" if descending else place)[: PAGE_SIZE + 1])
    kept = {name: value for name, value in request.GET.items() if name != "after" and value}
    last = getattr(found[PAGE_SIZE - 1], place) if len(found) > PAGE_SIZE else None
    return Slice(
        rows=found[:PAGE_SIZE],
        first_url=f"?{urlencode(kept)}" if after else "",
        next_url=f"?{urlencode({**kept, 'after': last})}" if last is not None else "",
    )


class _Echo:
    def write(self, text: str) -> str:
        return text


def csv_download(filename: str, headings: Sequence[object], rows: Iterable[Sequence[object]]) -> StreamingHttpResponse:
    """Answer with a table that leaves row by row, and opens in spreadsheets as it is meant."""
    writer = csv.writer(_Echo())

    def lines() -> Iterator[str]:
        yield "\ufeff" + writer.writerow(headings)
        for row in rows:
            yield writer.writerow([defused(str(cell)) for cell in row])

    return StreamingHttpResponse(
        lines(),
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{filename}"'},
    )
