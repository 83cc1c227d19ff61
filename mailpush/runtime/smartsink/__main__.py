"""`python -m mailpush.runtime.smartsink PORT [BOOKS]`: serve at every server's address, until killed.

Counts what was taken on standard output, as `smtp-sink -c` does: in all (`mesg`), then by server.
"""

import asyncio
import socket
import sys
from contextlib import suppress
from pathlib import Path

from mailpush.runtime.smartsink.books import Books
from mailpush.runtime.smartsink.servers import SERVERS, Manner
from mailpush.runtime.smartsink.talk import House, Talk

COUNTS_EVERY = 0.02  # seconds
FILLS = 4  # connections that fill a queue of none


async def main(port: int, path: Path | None) -> None:
    books = Books(path) if path else None
    houses = [House(server, books) for server in SERVERS if server.manner is not Manner.DEAF]
    loop = asyncio.get_running_loop()
    for house in houses:
        await loop.create_server(lambda house=house: Talk(house), house.server.address, port, backlog=1024)  # type: ignore[misc]
    held = [each for server in SERVERS if server.manner is Manner.DEAF for each in drop_packets(server.address, port)]
    try:
        await _count(houses)
    finally:
        for each in held:
            each.close()


async def _count(houses: list[House]) -> None:
    said = ""
    while True:
        total = sum(house.mails for house in houses)
        counts = "".join(f" {house.server.domain}={house.mails}" for house in houses if house.server.domain)
        if (line := f"mesg={total}{counts}\n") != said:
            said = line
            sys.stdout.write(line)
            sys.stdout.flush()
        await asyncio.sleep(COUNTS_EVERY)


def drop_packets(address: str, port: int) -> list[socket.socket]:
    """Listen with a queue that is full, and never accept: the kernel then drops whoever knocks.

    Returns the sockets, the listener first; closed, they open the door again.
    """
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((address, port))
    listener.listen(0)
    knocking = [socket.socket() for _ in range(FILLS)]
    for each in knocking:
        each.setblocking(False)
        with suppress(BlockingIOError):
            each.connect(listener.getsockname())
    return [listener, *knocking]


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None))  # noqa: PLR2004
