"""Database work done for all connections at once.

While one group is being worked on, what comes in waits together and is the next group: with one client that costs
nobody anything, with many they share one transaction and one write to the disk.
"""

import asyncio
import itertools
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar

from django.db import DataError, IntegrityError

from sending import tasks
from sending.acceptance import Lanes

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

MOST_ITEMS = 200  # of a group: it takes milliseconds, whatever happens
MOST_BYTES = 8 * 1024 * 1024  # of a group; a single item may be larger
WAKE_EVERY = 0.1  # seconds; a wake-up costs the broker more than a message costs the database


class Group(Generic[Item, Answer]):
    """Gathers items and has `work` done for them, one group after the other; `work` answers in their order.

    What a single item makes the database refuse is not held against the others.
    """

    def __init__(
        self,
        work: Callable[[Sequence[Item]], Awaitable[Sequence[Answer]]],
        *,
        size: Callable[[Item], int] = lambda _item: 0,
    ) -> None:
        """:param size: bytes of an item."""
        self._work = work
        self._size = size
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._task: asyncio.Task[None] | None = None

    async def ask(self, item: Item) -> Answer:
        """Return the answer to this item.

        :raises Exception: whatever `work` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future))
        if self._task is None:
            self._task = loop.create_task(self._run())  # begins when whoever else is ready now has come along
        return await future

    async def _run(self) -> None:
        try:
            while self._waiting:
                count = self._fitting()
                group, self._waiting = self._waiting[:count], self._waiting[count:]
                _tell(group, await self._worked([item for item, _ in group]))
        finally:
            self._task = None

    def _fitting(self) -> int:
        """Return how many of those who wait make a group."""
        sizes = itertools.accumulate(self._size(item) for item, _ in self._waiting[:MOST_ITEMS])
        return max(1, sum(size <= MOST_BYTES for size in sizes))

    async def _worked(self, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        try:
            return await self._work(items)
        except (DataError, IntegrityError) as problem:
            if len(items) > 1:
                return [answer for item in items for answer in await self._worked([item])]
            log.exception("A single item")
            return [problem]
        except Exception as problem:  # noqa: BLE001 each who waits is told
            return [problem] * len(items)


def _tell(group: Sequence[tuple[Item, asyncio.Future[Answer]]], answers: Sequence[Answer | Exception]) -> None:
    for (_, future), answer in zip(group, answers, strict=True):
        if future.done():  # nobody waits any more
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)


class Waker:
    """Wakes lanes at once, and again a moment later for what has come meanwhile: not for each message."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="wake")
        self._pending: Lanes = set()
        self._is_resting = False

    def wake(self, lanes: Lanes) -> None:
        self._pending |= lanes
        if not self._is_resting:
            self._send()

    def close(self) -> None:
        self._thread.shutdown()

    def _send(self) -> None:
        self._is_resting = bool(self._pending)
        if self._pending:
            loop = asyncio.get_running_loop()
            loop.run_in_executor(self._thread, _wake, self._pending)
            self._pending = set()
            loop.call_later(WAKE_EVERY, self._send)


def _wake(lanes: Lanes) -> None:
    try:
        for stream, site in lanes:
            tasks.wake(stream, [site])
    except Exception:  # noqa: BLE001 whatever the broker's transport raises: beat wakes the lanes within a second
        log.warning("The broker does not answer; lanes are woken by the next beat")
