"""The name in EHLO: what receivers on loopback are told from each source address, as a real name server has it."""

import asyncio
import time
from contextlib import asynccontextmanager

import pytest

from mailpush.mail.replies import Reply
from mailpush.mail.server import listen
from senders.models import ConfigSet, SourcePool
from sending.delivery import greetings
from sending.delivery.greetings import Greetings
from sending.models import Provider
from tests.domains.conftest import world  # noqa: F401 - a fixture
from tests.mailpush.mail.nameserver import SILENCE
from tests.sending.conftest import statuses
from tests.threaded import InThread

HOST = "mx01.push.example"
TWO, THREE = "127.0.0.2", "127.0.0.3"
PTR2, PTR3 = "2.0.0.127.in-addr.arpa", "3.0.0.127.in-addr.arpa"


class Receiver(InThread):
    """A mail server that notes who comes, and with which name."""

    def __init__(self):
        self.greeted = []

    async def connected(self, session):
        pass

    async def closed(self, session):
        pass

    async def mail(self, session, mail_from, params):
        self.greeted.append((session.peer, session.helo))
        return Reply(250, "2.1.0 OK")

    async def rcpt(self, session, rcpt_to, params):
        return Reply(250, "2.1.5 OK")

    async def data(self, session, content):
        return Reply(250, "2.0.0 OK")

    @asynccontextmanager
    async def opened(self):
        listener = await listen(self, "127.0.0.1", 0, hostname="mx.north.example")
        self.port = listener.port
        yield
        await listener.close(grace=1)


@pytest.fixture
def zones(world, settings):  # noqa: F811
    settings.MAILPUSH_MAIL_HOST = HOST
    world.zones |= {
        "north.example": {"MX": ["10 mx.north.example."]},
        "mx.north.example": {"A": ["127.0.0.1"]},
        PTR2: {"PTR": ["out2.push.example."]},
        "out2.push.example": {"A": [TWO]},
        PTR3: {"PTR": ["out3.push.example."]},
        "out3.push.example": {"A": [THREE]},
    }
    return world.zones


@pytest.fixture
def receiver(zones, settings):
    with Receiver() as receiver:
        settings.MAILPUSH_DELIVERY = "mx"
        settings.MAILPUSH_MX_PORT = receiver.port
        yield receiver


@pytest.fixture
def send(start_batch, deliver):
    def send(number=1, **content):
        batch = start_batch(*(f"ann-{n}@north.example" for n in range(number)), **content)
        deliver()
        assert set(statuses(batch).values()) == {"delivered"}

    return send


def asked(world):  # noqa: F811
    """Return what the name server was asked, save for the way to the recipients."""
    return [question for question in world.questions if not question[0].endswith("north.example")]


# ── On the wire ──


@pytest.mark.django_db
def test_each_address_of_a_pool_greets_with_its_own_name(receiver, send, settings):
    settings.MAILPUSH_SOURCE_IPS = {"batch": [TWO, THREE]}
    Provider.objects.filter(name="").update(mails_per_connection=1)

    send(40)

    assert set(receiver.greeted) == {(TWO, "out2.push.example"), (THREE, "out3.push.example")}


@pytest.mark.django_db
def test_dedicated_addresses_greet_with_their_own_names(receiver, send, sender, settings):
    settings.MAILPUSH_SOURCE_IPS = {"batch": ["127.0.0.4"], f"account-{sender.account_id}": [TWO, THREE]}
    pool = SourcePool.objects.create(account=sender.account, name="pool", ips=[THREE])
    sender.config_set = ConfigSet.objects.create(account=sender.account, name="set", pool=pool)
    sender.save()

    send()
    send(source_ips=TWO)

    assert receiver.greeted == [(THREE, "out3.push.example"), (TWO, "out2.push.example")]


@pytest.mark.django_db
def test_without_source_addresses_nobody_is_asked(receiver, send, world, settings):  # noqa: F811
    settings.MAILPUSH_SOURCE_IPS = {}

    send()

    assert receiver.greeted == [("127.0.0.1", HOST)]
    assert asked(world) == []


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({PTR2: {}}, "it has no PTR record. Publish one, and an A record of the name in it that says 127.0.0.2"),
        (
            {"out2.push.example": {"A": [THREE]}},
            "its PTR record says out2.push.example, which does not lead back. Publish an A record there: 127.0.0.2",
        ),
        (
            {"out2.push.example": {}},
            "its PTR record says out2.push.example, which does not lead back. Publish an A record there: 127.0.0.2",
        ),
        (
            {PTR2: {"PTR": ["localhost."]}, "localhost": {"A": [TWO]}},
            "its PTR record says localhost, which does not lead back. Publish an A record there: 127.0.0.2",
        ),
    ],
)
def test_address_without_a_name_that_leads_back_greets_as_the_mail_host(
    receiver, send, zones, settings, caplog, changes, words
):
    settings.MAILPUSH_SOURCE_IPS = {"default": [TWO]}
    zones |= changes

    send()
    send()

    assert receiver.greeted == [(TWO, HOST), (TWO, HOST)]
    said = [record.getMessage() for record in caplog.records if record.name == greetings.__name__]
    assert said == [f"Connections from 127.0.0.2 greet as mx01.push.example: {words}"]


@pytest.mark.django_db
@pytest.mark.parametrize("name", [PTR2, "out2.push.example"])
def test_silent_name_server_holds_mail_up_no_longer_than_the_limit(
    receiver,
    send,
    world,  # noqa: F811
    settings,
    monkeypatch,
    name,
):
    settings.MAILPUSH_SOURCE_IPS = {"batch": [TWO]}
    send(source_ips=THREE)  # all else is warm
    world.faults[name] = SILENCE
    monkeypatch.setattr(greetings, "PATIENCE", 0.5)

    started = time.monotonic()
    send()
    took = time.monotonic() - started

    assert receiver.greeted == [(THREE, "out3.push.example"), (TWO, HOST)]
    assert 0.5 <= took < 3


# ── What is remembered ──


async def test_later_connections_do_not_wait(zones, world, monkeypatch):  # noqa: F811
    monkeypatch.setattr(greetings, "PATIENCE", 0.3)
    world.faults[PTR2] = SILENCE
    names = Greetings(HOST)

    started = time.monotonic()
    assert await asyncio.gather(*(names.name_for(TWO) for _ in range(20))) == [HOST] * 20
    first = time.monotonic() - started
    for _ in range(20):
        assert await names.name_for(TWO) == HOST

    assert 0.3 <= first < 1
    assert time.monotonic() - started - first < 0.1
    assert asked(world) == [(PTR2, "PTR")]


async def test_one_look_up_serves_all(zones, world):  # noqa: F811
    names = Greetings(HOST)

    assert set(await asyncio.gather(*(names.name_for(TWO) for _ in range(20)))) == {"out2.push.example"}
    assert await names.name_for(TWO) == "out2.push.example"

    assert asked(world) == [(PTR2, "PTR"), ("out2.push.example", "A")]


async def settled():
    """Wait for what goes on in the background."""
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})


async def test_old_name_is_used_while_the_new_one_is_looked_up(zones, monkeypatch):
    monkeypatch.setattr(greetings, "KNOWN_FOR", 0)
    names = Greetings(HOST)
    assert await names.name_for(TWO) == "out2.push.example"
    zones |= {PTR2: {"PTR": ["new.push.example."]}, "new.push.example": {"A": [TWO]}}

    assert await names.name_for(TWO) == "out2.push.example"
    await settled()

    assert await names.name_for(TWO) == "new.push.example"
    await settled()


async def test_name_that_is_known_outlives_a_failure_of_dns(zones, world, settings, caplog, monkeypatch):  # noqa: F811
    settings.MAILPUSH_DELIVERY = "mx"
    monkeypatch.setattr(greetings, "KNOWN_FOR", 0)
    monkeypatch.setattr(greetings, "ASK_AGAIN_AFTER", 0)
    names = Greetings(HOST)
    await names.name_for(TWO)
    world.faults[PTR2] = "SERVFAIL"

    for _ in range(3):
        assert await names.name_for(TWO) == "out2.push.example"
        await settled()

    (record,) = caplog.records
    assert record.getMessage() == "Connections from 127.0.0.2 greet as out2.push.example: DNS did not answer"
    del world.faults[PTR2], zones[PTR2]
    await names.name_for(TWO)
    await settled()
    assert await names.name_for(TWO) == HOST
    await settled()


async def test_failure_is_soon_asked_about_again(zones, world, monkeypatch):  # noqa: F811
    monkeypatch.setattr(greetings, "ASK_AGAIN_AFTER", 0)
    world.faults["out2.push.example"] = "SERVFAIL"
    names = Greetings(HOST)
    assert await names.name_for(TWO) == HOST
    world.faults.clear()

    await names.name_for(TWO)
    await settled()

    assert await names.name_for(TWO) == "out2.push.example"


async def test_mail_host_goes_before_other_names(zones):
    zones |= {PTR2: {"PTR": ["a.push.example.", f"{HOST}."]}, "a.push.example": {"A": [TWO]}, HOST: {"A": [TWO]}}

    assert await Greetings(HOST).name_for(TWO) == HOST


async def test_addresses_behind_translation_greet_as_the_mail_host(zones, world):  # noqa: F811
    zones |= {"5.0.0.10.in-addr.arpa": {"PTR": ["ip-10-0-0-5.internal."]}, "ip-10-0-0-5.internal": {"A": ["10.0.0.5"]}}

    assert await Greetings(HOST).name_for("10.0.0.5") == HOST
    assert asked(world) == []
