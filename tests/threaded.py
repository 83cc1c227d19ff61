"""Servers in a thread of the test's process."""

import asyncio
import threading
from contextlib import AbstractAsyncContextManager

import uvloop


class InThread:
    """Open for the length of a block, in an event loop of its own: of the kind that the doors have."""

    def opened(self) -> AbstractAsyncContextManager[object]:
        """Serve for the length of that block."""
        raise NotImplementedError

    def __enter__(self):
        self.loop = uvloop.new_event_loop()
        self._stop = asyncio.Event()
        self._is_open = threading.Event()
        self._thread = threading.Thread(target=self.loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._is_open.wait(10)
        return self

    def __exit__(self, *_exc):
        self.loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self.loop.close()

    async def _serve(self) -> None:
        async with self.opened():
            self._is_open.set()
            await self._stop.wait()
