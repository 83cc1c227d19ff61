"""A name server on loopback that the code under test asks, as it would ask the internet's."""

from contextlib import asynccontextmanager

import pytest

from domains.models import Domain
from domains.services.domains import add_key
from mailpush.mail import dkim
from tests.factories import AccountFactory
from tests.mailpush.mail.nameserver import NameServer, serving
from tests.threaded import InThread


@pytest.fixture(scope="session")
def private_key():
    return dkim.generate_key()


class NameServerInThread(InThread):
    def __init__(self) -> None:
        self.server = NameServer({}, {})

    @asynccontextmanager
    async def opened(self):
        async with serving(self.server) as resolver:
            self.port = resolver.port
            yield


@pytest.fixture
def world(settings):
    """The name server: put records into `world.zones`, faults into `world.faults`."""
    with NameServerInThread() as running:
        settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", running.port)]
        yield running.server


@pytest.fixture
def publish(world, settings):
    """Put every required record of a domain into DNS."""

    def publish(domain):
        world.zones[domain.ownership_host] = {"TXT": [f'"{domain.ownership_token}"']}
        world.zones[domain.name] = {
            "TXT": [f'"v=spf1 include:{settings.MAILPUSH_SPF_INCLUDE} -all"'],
            "MX": [f"10 {settings.MAILPUSH_MAIL_HOST}."],
        }

    return publish


@pytest.fixture
def make_domain(private_key, now):
    """Make a domain with its key, unverified unless said otherwise."""

    def make_domain(name="mail.example.com", account=None, **columns):
        columns = {"status": Domain.Status.UNVERIFIED, "watched_since": now, "next_check_at": now, **columns}
        domain = Domain.objects.create(account=account or AccountFactory(), name=name, **columns)
        add_key(domain, private_key, now=now)
        return domain

    return make_domain
