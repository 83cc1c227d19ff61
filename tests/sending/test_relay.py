"""Everything through a smart host, with its login; other source addresses per stream."""

import asyncio
import threading

import pytest
from django.utils import timezone

from mailpush.environment import Environment, Relay
from mailpush.mail.certificate import server_context
from mailpush.mail.door import AuthPolicy
from mailpush.mail.replies import Reply
from mailpush.mail.server import listen
from sending.models import Lane, Message
from tests.sending.conftest import statuses

pytestmark = pytest.mark.django_db


class SmartHost:
    """Takes mail of whoever logs in as user/secret."""

    def __init__(self):
        self.taken = []
        self.peers = set()
        self.port = 0
        self._is_up = threading.Event()
        self._loop = asyncio.new_event_loop()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))

    async def connected(self, session):
        self.peers.add(session.peer)

    async def closed(self, session):
        pass

    async def auth(self, session, user, password):
        return None if (user, password) == ("user", "sec:ret") else Reply(535, "5.7.8 Wrong")

    async def mail(self, session, mail_from, params):
        return Reply(250, "2.1.0 OK") if session.user else Reply(530, "5.7.0 Log in first")

    async def rcpt(self, session, rcpt_to, params):
        return Reply(250, "2.1.5 OK")

    async def data(self, session, content):
        self.taken.append(session.envelope.rcpts[0].address)
        return Reply(250, "2.0.0 OK")

    async def _serve(self):
        listener = await listen(
            self, "127.0.0.1", 0, hostname="smart.test", auth=AuthPolicy.TLS, tls_context=server_context("smart.test")
        )
        self.port = listener.port
        self._is_up.set()
        await self._stop.wait()
        await listener.close(grace=1)

    def __enter__(self):
        self._thread.start()
        assert self._is_up.wait(10)
        return self

    def __exit__(self, *_exc):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()


@pytest.fixture
def smart_host(settings):
    with SmartHost() as host:
        settings.MAILPUSH_DELIVERY = "relay"
        settings.MAILPUSH_RELAY = Relay("127.0.0.1", host.port, "opportunistic", "user", "sec:ret")
        yield host


def test_everything_goes_through_the_relay(smart_host, start_batch, deliver, settings):
    settings.MAILPUSH_SOURCE_IPS = {"batch": ["127.0.0.5"], "default": ["127.0.0.6"]}

    batch = start_batch("ann@north.example", "bob@nxdomain.example")
    deliver()

    assert statuses(batch) == {"ann@north.example": "delivered", "bob@nxdomain.example": "delivered"}
    assert sorted(smart_host.taken) == ["ann@north.example", "bob@nxdomain.example"]
    assert smart_host.peers == {"127.0.0.5"}


@pytest.mark.parametrize("broken", [{"password": "wrong"}, {"host": "127.0.0.9"}, {"tls": "required"}])
def test_relay_that_does_not_let_us_in_bounces_nothing(smart_host, start_batch, deliver, settings, broken):
    relay = {"host": "127.0.0.1", "tls": "opportunistic", "password": "sec:ret", **broken}
    settings.MAILPUSH_RELAY = Relay(port=smart_host.port, user="user", **relay)

    batch = start_batch("ann@north.example")
    deliver()

    assert statuses(batch) == {"ann@north.example": "deferred"}
    assert Lane.objects.filter(suspended_until__gt=timezone.now()).exists()
    assert Message.objects.get().last_reply


def test_relay_that_is_not_in_dns_bounces_nothing(internet, start_batch, deliver, settings):
    settings.MAILPUSH_DELIVERY = "relay"
    settings.MAILPUSH_RELAY = Relay("nxdomain.example", 587, "off")

    batch = start_batch("ann@north.example")
    deliver()

    assert statuses(batch) == {"ann@north.example": "deferred"}


@pytest.mark.parametrize(
    ("url", "relay"),
    [
        ("smtp://relay.example", Relay("relay.example", 587, "required")),
        ("smtp://u%40x:p%3A%2F@relay.example:25?tls=off", Relay("relay.example", 25, "off", "u@x", "p:/")),
        ("", None),
    ],
)
def test_relay_address_is_read(url, relay):
    assert Environment({"MAILPUSH_RELAY_URL": url}).relay("MAILPUSH_RELAY_URL") == relay


@pytest.mark.parametrize("url", ["http://relay.example", "smtp://", "smtp://x:99999", "smtp://u:secret@x?tls=maybe"])
def test_malformed_relay_address_stops_the_start_without_its_password(url):
    with pytest.raises(Exception, match="MAILPUSH_RELAY_URL is") as raised:
        Environment({"MAILPUSH_RELAY_URL": url}).relay("MAILPUSH_RELAY_URL")

    assert "secret" not in str(raised.value)
