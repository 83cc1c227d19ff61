"""Group commit: what many conversations bring is written in one transaction."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from mailpush.lib.threads import in_thread

Item = TypeVar("Item")

MOST_ITEMS = 200
MOST_BYTES = 8 * 1024 * 1024  # of one transaction; a single item may be larger


class Gatherer(Generic[Item]):
    """Writes items in the order they come: while one commit is under way, the next gather for another."""

    def __init__(self, write: Callable[[Sequence[Item]], None], size: Callable[[Item], int]) -> None:
        self._write = write
        self._size = size
        self._waiting: list[tuple[Item, asyncio.Future[None]]] = []
        self._work: asyncio.Task[None] | None = None

    async def put(self, item: Item) -> None:
        """Return when the item is committed; raise what its transaction raised."""
        loop = asyncio.get_running_loop()
        done = loop.create_future()
        self._waiting.append((item, done))
        if self._work is None or self._work.done():
            self._work = loop.create_task(self._write_all())
        await done

    async def _write_all(self) -> None:
        while self._waiting:
            taken = self._take()
            try:
                await in_thread(self._write, [item for item, _ in taken])
            except Exception as error:  # noqa: BLE001 - whoever waits for the item raises it
                problem: Exception | None = error
            else:
                problem = None
            for _, done in taken:
                if done.done():  # the client went away meanwhile
                    continue
                if problem is None:
                    done.set_result(None)
                else:
                    done.set_exception(problem)

    def _take(self) -> list[tuple[Item, "asyncio.Future[None]"]]:
        count, size = 0, 0
        for item, _ in self._waiting[:MOST_ITEMS]:
            size += self._size(item)
            if count and size > MOST_BYTES:
                break
            count += 1
        taken, self._waiting = self._waiting[:count], self._waiting[count:]
        return taken
