"""What the web server serves."""

import os
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailpush.settings")

IN_MEMORY = 1024 * 1024  # bytes of a body in chunks; more goes to a temporary file
LONGEST = 256 * 1024 * 1024  # bytes; more than any view takes
PIECE = 64 * 1024

Application = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class ChunkedBodies:
    """Give bodies that come in chunks a length: Django reads none without, and Node's SDKs send nothing else."""

    def __init__(self, application: Application) -> None:
        self.application = application

    def __call__(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if "chunked" not in environ.get("HTTP_TRANSFER_ENCODING", "").lower():
            return self.application(environ, start_response)
        body = tempfile.SpooledTemporaryFile(max_size=IN_MEMORY)  # noqa: SIM115 Django reads it later; it closes itself
        length = 0
        while piece := environ["wsgi.input"].read(PIECE):
            length += len(piece)
            if length > LONGEST:
                break  # what was read is longer than any view takes, so that is what it will say
            body.write(piece)
        body.seek(0)
        environ |= {"wsgi.input": body, "CONTENT_LENGTH": str(length)}
        return self.application(environ, start_response)


application = ChunkedBodies(get_wsgi_application())
