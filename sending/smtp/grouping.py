"""Database work done for all connections at once.

While one group is being worked on, what comes in waits together and is the next group: with one client that costs
nobody anything, with many they share one transaction and one write to the disk.
"""

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from queue import SimpleQueue
from typing import Generic, TypeVar

from django.db import DataError, IntegrityError, connection

from sending import tasks
from sending.acceptance import Lanes

log = logging.getLogger(__name__)

Item = TypeVar("Item")
Answer = TypeVar("Answer")

Waiting = tuple[asyncio.AbstractEventLoop, Sequence[tuple[Item, asyncio.Future[Answer]]]]

LARGEST = 200  # items: a group takes milliseconds, whatever happens
IDLE = 1.0  # seconds after which a connection is checked before it is used again
WAKE_EVERY = 0.1  # seconds; a wake-up costs the broker more than a message costs the database


class Group(Generic[Item, Answer]):
    """Gathers items and has one thread of its own do `work` for them; `work` answers in their order.

    What a single item makes the database refuse is not held against the others.
    """

    def __init__(self, work: Callable[[Sequence[Item]], Sequence[Answer]]) -> None:
        self._work = work
        self._waiting: list[tuple[Item, asyncio.Future[Answer]]] = []
        self._is_at_work = False
        self._used_at = 0.0
        # A thread and a queue: an executor's futures would cost as much as the work of a small group.
        self._groups: SimpleQueue[Waiting[Item, Answer] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=getattr(work, "__name__", "group"), daemon=True)
        self._thread.start()

    async def ask(self, item: Item) -> Answer:
        """Return the answer to this item.

        :raises Exception: whatever `work` raises.
        """
        loop = asyncio.get_running_loop()
        future: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((item, future))
        if not self._is_at_work:
            self._is_at_work = True
            loop.call_soon(self._begin)  # whoever else is ready now comes along
        return await future

    def close(self) -> None:
        """Finish what is under way, and let go of the thread and its connection."""
        self._groups.put(None)
        self._thread.join()

    def _begin(self) -> None:
        group, self._waiting = self._waiting[:LARGEST], self._waiting[LARGEST:]
        self._groups.put((asyncio.get_running_loop(), group))

    def _end(self, group: Sequence[tuple[Item, asyncio.Future[Answer]]], answers: Sequence[Answer | Exception]) -> None:
        for (_, future), answer in zip(group, answers, strict=True):
            if future.cancelled():
                continue
            if isinstance(answer, Exception):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._is_at_work = bool(self._waiting)
        if self._waiting:
            self._begin()

    # In the thread

    def _run(self) -> None:
        while waiting := self._groups.get():
            loop, group = waiting
            answers: Sequence[Answer | Exception]
            try:
                answers = self._worked([item for item, _ in group])
            except Exception as problem:  # noqa: BLE001 each who waits is told
                answers = [problem] * len(group)
            with suppress(RuntimeError):  # nobody waits any more
                loop.call_soon_threadsafe(self._end, group, answers)
        connection.close()

    def _worked(self, items: Sequence[Item]) -> Sequence[Answer | Exception]:
        if time.monotonic() - self._used_at > IDLE:
            connection.close()  # back to the pool, which looks whether it still works
        try:
            return self._work(items)
        except (DataError, IntegrityError):
            if len(items) == 1:
                raise
            return [self._worked_alone(item) for item in items]
        except Exception:
            connection.close()
            raise
        finally:
            self._used_at = time.monotonic()

    def _worked_alone(self, item: Item) -> Answer | Exception:
        try:
            (answer,) = self._work([item])
        except (DataError, IntegrityError) as problem:
            log.exception("A single item")
            return problem
        return answer


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
