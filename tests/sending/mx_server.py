"""The mx door in a thread."""

import asyncio
import threading

from mailpush.mail.certificate import server_context
from mailpush.mail.server import Limits, listen
from sending.smtp import mx


class MxServer:
    """Open for the length of a block; `port` is where."""

    def __init__(self) -> None:
        self.door = mx.MxDoor()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._is_up = threading.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    def __enter__(self):
        self._thread.start()
        assert self._is_up.wait(10)
        return self

    def __exit__(self, *_exc):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _serve(self):
        listener = await listen(
            self.door,
            "127.0.0.1",
            0,
            hostname="mx01.test",
            limits=Limits(message_size=200_000),
            tls_context=server_context("mx01.test"),
        )
        self.port = listener.port
        self._is_up.set()
        await self._stop.wait()
        await listener.close(grace=1)
