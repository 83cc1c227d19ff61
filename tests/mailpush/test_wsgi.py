"""Bodies in chunks, before Django sees them."""

import io
import json

import pytest

from tests.mailpush.lib.test_files import no_file_longer_than

IN_MEMORY = 1024 * 1024


@pytest.fixture
def call(monkeypatch, tmp_path):
    """Send a body in chunks to an application that answers with what it gets."""
    from mailpush import wsgi  # looks at folders that exist only when tests run

    assert wsgi.IN_MEMORY == IN_MEMORY
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    answers = []

    def echo(environ, start_response):
        start_response("200 OK", [])
        with environ["wsgi.input"] as body:
            return [body.read(int(environ["CONTENT_LENGTH"]))]

    def send(path, body):
        source = io.BytesIO(body)
        environ = {"HTTP_TRANSFER_ENCODING": "chunked", "PATH_INFO": path, "wsgi.input": source}
        told = b"".join(wsgi.ChunkedBodies(echo)(environ, lambda status, _headers: answers.append(status)))
        return answers[-1], told, source.read()

    return send


def test_a_body_in_chunks_gets_a_length(call):
    assert call("/", b"x" * 2_000_000) == ("200 OK", b"x" * 2_000_000, b"")


@pytest.mark.parametrize(
    ("path", "code"),
    [("/api/v1/lists/1/imports", {"code": "storage_unavailable", "field": ""}), ("/", {"Code": "ServiceUnavailable"})],
)
@pytest.mark.parametrize("size", [3_000_000, IN_MEMORY + 1])  # found out while it comes in, or at its end
def test_a_body_that_does_not_fit_on_the_disk_is_refused_when_all_of_it_has_come(call, path, code, size):
    with no_file_longer_than(IN_MEMORY - 1):
        status, told, rest = call(path, b"x" * size)

    assert (status, rest) == ("503 Service Unavailable", b"")
    assert code.items() <= json.loads(told).items()
    assert b"The platform cannot keep files at the moment" in told
