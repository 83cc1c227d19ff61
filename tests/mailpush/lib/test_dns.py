import pytest
from dns import flags

from mailpush.lib import dns


def test_named_servers_are_the_only_ones(settings):
    settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", 5353), ("localhost", 5354), ("::1", 53)]

    resolver = dns.resolver()

    assert [(server.address, server.port) for server in resolver.nameservers] == [
        ("127.0.0.1", 5353),
        ("127.0.0.1", 5354),
        ("::1", 53),
    ]


def test_without_named_servers_the_system_is_asked(settings):
    settings.MAILPUSH_DNS_SERVERS = []

    assert dns.resolver().nameservers


@pytest.mark.parametrize(("lifetime", "timeout"), [(5.0, 2.0), (1.0, 1.0)])
def test_look_ups_end(settings, lifetime, timeout):
    settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", 5353)]

    resolver = dns.resolver(lifetime=lifetime)

    assert (resolver.lifetime, resolver.timeout) == (lifetime, timeout)


@pytest.mark.parametrize(
    ("servers", "asks"),
    [
        ([("127.0.0.1", 53)], True),
        ([("localhost", 53), ("::1", 53), ("10.1.2.3", 53)], True),
        ([("10.1.2.3", 53), ("9.9.9.9", 53)], False),
        ([], False),
    ],
)
def test_dnssec_counts_where_the_named_servers_are_our_own(settings, servers, asks):
    settings.MAILPUSH_DNS_SERVERS = servers

    assert bool((dns.resolver().flags or 0) & flags.AD) == asks
