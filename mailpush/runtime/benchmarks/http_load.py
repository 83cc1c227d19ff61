"""A load of HTTP requests that were written before: connections that are kept, each with one request at a time.

Requests are finished bytes, so that the load takes next to nothing of the processors that it measures.
"""

import asyncio
import time
from collections.abc import Iterator, Sequence

GOOD = (b"HTTP/1.1 200", b"HTTP/1.1 201", b"HTTP/1.1 202")
LENGTH = b"content-length:"
LAST_CHUNK = b"0\r\n\r\n"  # of a body without a length


class Refused(Exception):
    """A request was answered otherwise than with success."""


class Connection(asyncio.Protocol):
    """Sends one request after the other until there are none."""

    def __init__(self, requests: Iterator[bytes], ended: "asyncio.Future[None]") -> None:
        self._requests = requests
        self._ended = ended
        self._seen = b""
        self._transport: asyncio.WriteTransport

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.WriteTransport)
        self._transport = transport
        self._next()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, blank, body = self._seen.partition(b"\r\n\r\n")
        if not blank:
            return
        if not _is_whole(head.lower(), body):
            return
        if not head.startswith(GOOD):
            self._end(Refused(self._seen[:2000].decode(errors="replace")))
            return
        self._seen = b""
        self._next()

    def connection_lost(self, exc: Exception | None) -> None:
        self._end(exc or Refused("The server has closed the connection."))

    def _next(self) -> None:
        request = next(self._requests, None)
        if request is None:
            self._end(None)
            self._transport.close()
        else:
            self._transport.write(request)

    def _end(self, problem: Exception | None) -> None:
        if not self._ended.done():
            self._ended.set_exception(problem) if problem else self._ended.set_result(None)


def _is_whole(head: bytes, body: bytes) -> bool:
    _, found, rest = head.partition(LENGTH)
    if found:
        return len(body) >= int(rest.partition(b"\r\n")[0])
    return body.endswith(LAST_CHUNK)


async def send(host: str, port: int, requests: Sequence[bytes], *, clients: int) -> float:
    """Send the requests over so many connections; return the seconds until the last answer.

    :raises Refused: one was not answered with success.
    """
    loop = asyncio.get_running_loop()
    waiting = iter(requests)
    ends = [loop.create_future() for _ in range(clients)]
    begun = time.perf_counter()
    for end in ends:
        await loop.create_connection(lambda end=end: Connection(waiting, end), host, port)  # type: ignore[misc]
    await asyncio.gather(*ends)
    return time.perf_counter() - begun
