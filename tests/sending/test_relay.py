"""Everything through a smart host, with its login; other source addresses per stream."""

from contextlib import asynccontextmanager
from dataclasses import replace

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.utils import timezone

from mailpush.environment import Environment, Relay
from mailpush.mail.certificate import server_context
from mailpush.mail.door import AuthPolicy
from mailpush.mail.replies import Reply
from mailpush.mail.server import listen
from senders.models import ConfigSet, SourcePool
from sending.delivery.dialing import Dialer
from sending.models import Destination, Lane, Message, Provider
from tests.sending.conftest import Workers, statuses
from tests.threaded import InThread

pytestmark = pytest.mark.django_db


class SmartHost(InThread):
    """Takes mail of whoever logs in as user/secret."""

    def __init__(self):
        self.taken = []
        self.peers = set()
        self.port = 0

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

    @asynccontextmanager
    async def opened(self):
        listener = await listen(
            self, "127.0.0.1", 0, hostname="smart.test", auth=AuthPolicy.TLS, tls_context=server_context("smart.test")
        )
        self.port = listener.port
        yield
        await listener.close(grace=1)

    @property
    def relay(self):
        return Relay("127.0.0.1", self.port, "opportunistic", "user", "sec:ret")


@pytest.fixture
def smart_host(settings):
    with SmartHost() as host:
        settings.MAILPUSH_DELIVERY = "relay"
        settings.MAILPUSH_RELAYS = [host.relay]
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
    settings.MAILPUSH_RELAYS = [Relay(port=smart_host.port, user="user", **relay)]

    batch = start_batch("ann@north.example")
    deliver()

    assert statuses(batch) == {"ann@north.example": "deferred"}
    assert Lane.objects.filter(suspended_until__gt=timezone.now()).exists()
    assert Message.objects.get().last_reply


def test_relay_that_is_not_in_dns_bounces_nothing(internet, start_batch, deliver, settings):
    settings.MAILPUSH_DELIVERY = "relay"
    settings.MAILPUSH_RELAYS = [Relay("nxdomain.example", 587, "off")]

    batch = start_batch("ann@north.example")
    deliver()

    assert statuses(batch) == {"ann@north.example": "deferred"}


@pytest.fixture
def second_host():
    with SmartHost() as host:
        yield host


@pytest.fixture
def _one_mail_per_connection(db):
    Provider.objects.filter(name="").update(mails_per_connection=1)


@pytest.mark.usefixtures("_one_mail_per_connection")
def test_relays_share_connections_by_weight(smart_host, second_host, start_batch, deliver, settings):
    settings.MAILPUSH_RELAYS = [replace(smart_host.relay, weight=3), second_host.relay]

    batch = start_batch(*(f"r{n}@north.example" for n in range(200)))
    deliver()

    assert set(statuses(batch).values()) == {"delivered"}
    assert len(smart_host.taken) + len(second_host.taken) == 200
    assert 110 < len(smart_host.taken) < 190  # expected 150, and 40 are six and a half standard deviations


@pytest.mark.usefixtures("_one_mail_per_connection")
def test_relay_that_cannot_be_reached_leaves_its_share_to_the_others(
    smart_host, second_host, start_batch, deliver, settings, monkeypatch
):
    dead = Relay("127.0.0.9", smart_host.port, "off", "user", "sec:ret", weight=1000)
    settings.MAILPUSH_RELAYS = [dead, smart_host.relay, replace(second_host.relay, password="wrong", weight=1000)]
    visited = []
    dial = Dialer._dial

    async def noted(dialer, host, *args):
        visited.append(host.name)
        return await dial(dialer, host, *args)

    monkeypatch.setattr(Dialer, "_dial", noted)

    batch = start_batch(*(f"r{n}@north.example" for n in range(100)))
    deliver()

    assert set(statuses(batch).values()) == {"delivered"}
    assert len(smart_host.taken) == 100
    assert second_host.taken == []
    assert visited.count("127.0.0.9") <= Provider.objects.get(name="").connections  # then it is left alone


def test_relay_missing_in_dns_leaves_its_share_to_the_others(internet, smart_host, start_batch, deliver, settings):
    settings.MAILPUSH_RELAYS = [Relay("nxdomain.example", 587, "off"), smart_host.relay]

    batch = start_batch("ann@north.example")
    deliver()

    assert statuses(batch) == {"ann@north.example": "delivered"}
    assert smart_host.taken == ["ann@north.example"]


def test_passwords_of_relays_are_not_in_the_database(smart_host, start_batch, deliver):
    start_batch("ann@north.example")
    deliver()

    (host,) = Destination.objects.get().hosts
    assert "sec:ret" not in str(host)
    assert host["user"] == "user"


@pytest.fixture
def deliver_anew():
    """Deliver as processes do that have just started."""

    def deliver_anew():
        workers = Workers()
        workers()
        workers.stop()

    return deliver_anew


def test_way_of_before_is_not_gone_any_more(internet, smart_host, second_host, start_batch, deliver_anew, settings):
    """Addresses that were looked up for one way of sending are not used after the settings have changed."""
    settings.MAILPUSH_DELIVERY = "mx"
    start_batch("ann@north.example")
    deliver_anew()
    settings.MAILPUSH_DELIVERY = "relay"
    start_batch("bob@north.example")
    deliver_anew()
    settings.MAILPUSH_RELAYS = [second_host.relay]
    start_batch("cat@north.example")
    deliver_anew()

    assert [mail.rcpt_to for mail in internet.mails] == ["ann@north.example"]
    assert smart_host.taken == ["bob@north.example"]
    assert second_host.taken == ["cat@north.example"]


A = Relay("a.example", 587, "required")


@pytest.mark.parametrize(
    ("urls", "relays"),
    [
        ("smtp://a.example", [A]),
        ("smtp://u%40x:p%3A%2C%2F@b.example:25?tls=off", [Relay("b.example", 25, "off", "u@x", "p:,/")]),
        (
            "smtp://u:p@b.example:25/?tls=implicit&weight=3, smtp://a.example,",
            [Relay("b.example", 25, "implicit", "u", "p", 3), A],
        ),
        ("", []),
    ],
)
def test_relay_addresses_are_read(urls, relays):
    assert Environment({"MAILPUSH_RELAY_URL": urls}).relays("MAILPUSH_RELAY_URL") == relays


@pytest.mark.parametrize(
    "urls",
    [
        "http://relay.example",
        "smtp://",
        "smtp://x:99999",
        "smtp://u:secret@x?tls=maybe",
        "smtp://u:secret@x?weight=0",
        "smtp://u:secret@x?weight=heavy",
        "smtp://u:secret@x?wait=1",
        "smtp://u:secret@x/path",
        "smtp://u:sec,ret@x",
        "smtp://u:secret@x,relay.example",
        "smtp://u:secret@x,smtp://u:other-secret@x",
    ],
)
def test_malformed_relay_address_stops_the_start_without_its_password(urls):
    with pytest.raises(ImproperlyConfigured, match="MAILPUSH_RELAY_URL") as raised:
        Environment({"MAILPUSH_RELAY_URL": urls}).relays("MAILPUSH_RELAY_URL")

    assert "sec" not in str(raised.value)
    assert "ret" not in str(raised.value)


def test_mails_of_dedicated_addresses_leave_from_those(smart_host, start_batch, deliver, settings, sender):
    settings.MAILPUSH_SOURCE_IPS = {"batch": ["127.0.0.5"]}
    pool = SourcePool.objects.create(account=sender.account, name="pool", ips=["127.0.0.7"])

    start_batch("ann@north.example", source_ips="127.0.0.8")
    sender.config_set = ConfigSet.objects.create(account=sender.account, name="set", pool=pool)
    sender.save()
    start_batch("bob@north.example")
    deliver()

    assert sorted(smart_host.taken) == ["ann@north.example", "bob@north.example"]
    assert smart_host.peers == {"127.0.0.7", "127.0.0.8"}
