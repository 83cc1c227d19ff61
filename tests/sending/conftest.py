"""The pretend internet in a thread, and lanes worked until nothing is due."""

from contextlib import asynccontextmanager
from datetime import timedelta

import pytest
from django.utils import timezone

from domains.services.domains import add_key
from mailpush.mail.certificate import server_context
from mailpush.mail.dkim import generate_key
from mailpush.mail.server import Limits, listen
from mailpush.sandbox.nameserver import Nameserver, serving
from mailpush.sandbox.sink import Sink
from mailpush.sandbox.world import World
from senders.models import Stream
from sending import expansion
from sending.delivery import engine, shaping, waking
from sending.delivery.desk import Desk
from sending.models import UNROUTED, AddressType, Batch, Chunk, Content, Lane, Message
from tests.factories import RecipientFactory, RecipientListFactory, SenderFactory
from tests.threaded import InThread

UNBOUNDED = Limits(message_size=2**26, connections_per_ip=1000)


class Internet(InThread):
    """A name server and a sink for every domain; `mails` is what has arrived."""

    def __init__(self, folder, *, tls=None, postman=None) -> None:
        self._tls = tls
        self._postman = postman
        self.world = World(folder / "world.sqlite3")
        self.mails = []
        self.seconds_later = 0.0  # the sink's clock runs ahead by this
        self.dns_port = self.smtp_port = 0

    def _make_sink(self):
        return Sink(self.mails.extend, self._postman, clock=lambda: self.loop.time() + self.seconds_later)

    @asynccontextmanager
    async def opened(self):
        sink = self._make_sink()
        async with serving(Nameserver(self.world, {}), 0) as self.dns_port:
            listener = await listen(sink, "127.0.0.1", 0, hostname="sink.test", limits=UNBOUNDED, tls_context=self._tls)
            self.smtp_port = listener.port
            yield
            await listener.close(grace=1)


@pytest.fixture(autouse=True)
def _providers_are_read_anew():
    shaping.forget()


@pytest.fixture
def internet(tmp_path, settings):
    with Internet(tmp_path, tls=server_context("sink.test")) as internet:
        settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", internet.dns_port)]
        settings.MAILPUSH_MX_PORT = internet.smtp_port
        yield internet


@pytest.fixture(scope="session")
def private_key():
    return generate_key()


@pytest.fixture
def sender(db, private_key):
    """A batch sender whose domain signs."""
    sender = SenderFactory()
    add_key(sender.domain, private_key, now=timezone.now())
    return sender


class Workers:
    """What beat and the worker processes do, in the thread of the test."""

    def __init__(self):
        self._desks: dict[str, Desk] = {}

    def __call__(self, *, later: timedelta = timedelta()) -> None:
        """Work all lanes that are due until none is; `later` makes waiting ones due."""
        if later:
            Chunk.objects.update(due_at=timezone.now())
            Lane.objects.update(suspended_until=None)
        while lanes := waking.due_lanes(now=timezone.now()):
            for stream, site in lanes:
                if waking.arrived(stream, [site], now=timezone.now()):
                    self._work(stream, site)

    def _work(self, stream: str, site: str) -> None:
        desk = self._desks.get(stream) or self._desks.setdefault(stream, Desk(stream, engine.terms(stream)))
        if site == UNROUTED:
            engine.sort(desk)
        else:
            desk.enlist([site])
            desk.drain()

    def stop(self) -> None:
        for desk in self._desks.values():
            desk.courier.stop()
        self._desks.clear()


@pytest.fixture
def deliver():
    workers = Workers()
    yield workers
    workers.stop()


@pytest.fixture
def start_batch(sender):
    """Make a list of the addresses, order a batch to it and prepare it."""

    def start_batch(*addresses: str, **content) -> Batch:
        recipients = RecipientListFactory(account=sender.account, count=len(addresses))
        for address in addresses:
            RecipientFactory(list=recipients, address=address, variables={"UserName": address.partition("@")[0]})
        fields = {
            "subject": "Hello {UserName}",
            "html": "<p>Dear {UserName} &amp; all</p>",
            "text": "Dear {UserName}",
            "sender_name": "张三 Shop",
            "address_type": AddressType.RANDOM,
            **content,
        }
        stored = Content.objects.create(
            account=sender.account, sender=sender, stream=Stream.BATCH, kind=Content.Kind.COMPOSED, **fields
        )
        now = timezone.now()
        batch = Batch.objects.create(
            account=sender.account,
            content=stored,
            sender=sender,
            list=recipients,
            list_name=recipients.name,
            template_name="Newsletter",
            address_type=stored.address_type,
            created_by="test",
            scheduled_at=now,
        )
        expansion.start(batch, now=now)
        assert expansion.expand(batch.pk)
        batch.refresh_from_db()
        return batch

    return start_batch


def statuses(batch: Batch) -> dict[str, str]:
    return dict(Message.objects.filter(batch=batch).values_list("recipient", "status"))
