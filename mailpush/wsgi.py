"""What the web server serves."""

import json
import logging
import os
import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from typing import IO, Any
from uuid import uuid4

from django.core.wsgi import get_wsgi_application
from django.utils import translation

from mailpush.lib.files import NotKept, unavailable

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailpush.settings")

IN_MEMORY = 1024 * 1024  # bytes of a body in chunks; more goes to a temporary file
LONGEST = 256 * 1024 * 1024  # bytes; more than any view takes
PIECE = 64 * 1024

log = logging.getLogger(__name__)

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ChunkedBodies:
    """Give bodies that come in chunks a length: Django reads none without, and Node's SDKs send nothing else."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            return self.application(environ, start_response)
        try:
            body, length = _kept(environ["wsgi.input"])
        except NotKept:
            log.exception("A body could not be written to the disk")
            return _refused(environ, start_response)
        environ |= {"wsgi.input": body, "CONTENT_LENGTH": str(length)}
        return self.application(environ, start_response)


def _kept(source: Any) -> tuple[IO[bytes], int]:
    """Return the body and its length.

    :raises NotKept: it does not fit on the disk.
    """
    body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 Django reads it later; it closes itself
    length = 0
    while piece := source.read(PIECE):
        length += len(piece)
        if length > LONGEST:
            break  # what was read is longer than any view takes, so that is what it will say
        with _writing(body):
            body.write(piece)
    with _writing(body):
        body.seek(0)
    return body, length


@contextmanager
def _writing(body: IO[bytes]) -> Iterator[None]:
    """Tell a disk that is full from a client that has gone: both are OSErrors."""
    try:
        yield
    except OSError as error:
        with suppress(OSError):  # what is still in memory does not fit either
            body.close()
        raise NotKept("a body does not fit on the disk") from error


def _refused(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Answer in the caller's place of the views: those of the REST API or of the DirectMail-compatible one."""
    dropped = 0
    while dropped < LONGEST and (piece := environ["wsgi.input"].read(PIECE)):  # a client may listen only then
        dropped += len(piece)
    with translation.override("en"):
        refusal = unavailable()
    if environ.get("PATH_INFO", "").startswith("/api/"):
        told = {"code": refusal.code, "message": refusal.message, "field": ""}
    else:
        told = {"RequestId": str(uuid4()).upper(), "HostId": "", "Code": "ServiceUnavailable"}
        told["Message"] = refusal.message
    body = json.dumps(told).encode()
    headers = [("Content-Type", "application/json"), ("Content-Length", str(len(body)))]
    start_response("503 Service Unavailable", headers)
    return [body]


application = ChunkedBodies(get_wsgi_application())
