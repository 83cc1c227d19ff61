"""The mx door in a thread."""

from contextlib import asynccontextmanager

from mailpush.mail.certificate import server_context
from mailpush.mail.server import Limits, listen
from sending.smtp import mx
from tests.threaded import InThread


class MxServer(InThread):
    """Open for the length of a block; `port` is where."""

    def __init__(self) -> None:
        self.door = mx.MxDoor()

    @asynccontextmanager
    async def opened(self):
        listener = await listen(
            self.door,
            "127.0.0.1",
            0,
            hostname="mx01.test",
            limits=Limits(message_size=200_000),
            tls_context=server_context("mx01.test"),
        )
        self.port = listener.port
        yield
        await listener.close(grace=1)
