"""The pretend internet on ports of its own."""

import pytest

from mailpush.mail.certificate import server_context
from mailpush.mail.server import listen
from mailpush.sandbox.sink import Recorder, Sink
from mailpush.sandbox.world import World


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "sandbox.sqlite3")


class Clock:
    """Time that passes when a test says so."""

    now = 1_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def recorder(world):
    """Writes what the sink takes; closing it waits until all is written."""
    recorder = Recorder(world)
    yield recorder
    recorder.close()


@pytest.fixture
async def sink_port(recorder, clock):
    """The port of a sink that knows no mx door."""
    sink = Sink(recorder.keep, clock=clock)
    listener = await listen(sink, "127.0.0.1", 0, hostname="sink.test", tls_context=server_context("sink.test"))
    yield listener.port
    await listener.close(grace=1)
    await sink.close()
