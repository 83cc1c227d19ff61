import random

import dns.flags
import pytest

from mailpush.mail import mx
from mailpush.mail.dane import Tlsa
from mailpush.mail.mx import DnsUnavailable, MxHost, NoSuchDomain, Route
from mailpush.mail.tls import TlsDemand
from tests.mailpush.mail.nameserver import SILENCE, TRUNCATION, NameServer, serving

pytestmark = pytest.mark.asyncio

ZONES = {
    "shop.test": {"MX": ["20 b.shop.test.", "10 A.shop.test."]},
    "a.shop.test": {"A": ["127.0.0.1"], "AAAA": ["::1"]},
    "b.shop.test": {"A": ["127.0.0.2"]},
    "plain.test": {"A": ["127.0.0.4"], "TXT": ['"x"']},
    "null.test": {"MX": ["0 ."]},
    "half-null.test": {"MX": ["0 .", "5 a.shop.test."]},
    "lost.test": {"MX": ["10 nowhere.test.", "20 empty.test."]},
    "empty.test": {"TXT": ['"x"']},
    "alias.test": {"CNAME": ["shop.test."]},
    "alias-host.test": {"MX": ["10 c.alias-host.test."]},
    "c.alias-host.test": {"CNAME": ["a.shop.test."]},
    "xn--bcher-kva.test": {"A": ["127.0.0.5"]},
    "many.test": {"MX": [f"{n} a.shop.test." for n in range(50)]},
}


async def route_of(domain, **changes):
    async with serving(NameServer(ZONES, **changes)) as resolver:
        return await mx.resolve(domain, resolver)


async def test_hosts_come_best_first_with_their_addresses():
    assert await route_of("shop.test") == Route(
        (
            MxHost("a.shop.test", 10, ("127.0.0.1", "::1")),
            MxHost("b.shop.test", 20, ("127.0.0.2",)),
        ),
        ttl=300,
    )


@pytest.mark.parametrize("domain", ["plain.test", "PLAIN.test.", "bücher.test", "BÜCHER.test", "xn--bcher-kva.test"])
async def test_domain_without_mx_is_its_own_server(domain):
    (host,) = (await route_of(domain)).hosts

    assert (host.name, host.preference) == (
        ("plain.test", 0) if "plain" in domain.lower() else ("xn--bcher-kva.test", 0)
    )


@pytest.mark.parametrize("domain", ["alias.test", "half-null.test", "alias-host.test"])
async def test_aliases_and_stray_null_records_are_seen_through(domain):
    assert (await route_of(domain)).hosts[0].addresses == ("127.0.0.1", "::1")


@pytest.mark.parametrize(
    ("domain", "code"),
    [
        ("gone.example", "5.1.2"),
        ("null.test", "5.1.10"),
        ("lost.test", "5.1.2"),
        ("empty.test", "5.1.2"),
        ("a..test", "5.1.2"),
        ("x" * 64 + ".test", "5.1.2"),
        ("", "5.1.2"),
    ],
)
async def test_domain_without_server_is_final(domain, code):
    with pytest.raises(NoSuchDomain) as refusal:
        await route_of(domain)

    assert refusal.value.enhanced_code == code


@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED", "NOTIMP", SILENCE])
@pytest.mark.parametrize(("domain", "broken"), [("shop.test", "shop.test"), ("alias-host.test", "c.alias-host.test")])
async def test_broken_name_server_is_temporary(domain, broken, fault):
    with pytest.raises(DnsUnavailable):
        await route_of(domain, faults={broken: fault})


async def test_one_broken_host_leaves_the_others_for_a_minute():
    route = await route_of("shop.test", faults={"a.shop.test": "SERVFAIL"})

    assert [host.name for host in route.hosts] == ["b.shop.test"]
    assert route.ttl == 60


async def test_missing_kind_of_address_leaves_the_other_for_a_minute():
    route = await route_of("shop.test", faults={"a.shop.test AAAA": "SERVFAIL"})

    assert route.hosts[0].addresses == ("127.0.0.1",)
    assert route.ttl == 60


async def test_truncated_answer_is_fetched_over_tcp():
    assert len((await route_of("shop.test", faults={"shop.test": TRUNCATION})).hosts) == 2


@pytest.mark.parametrize("name", ["shop.test", "a.shop.test"])
async def test_route_lives_as_long_as_its_shortest_record(name):
    assert (await route_of("shop.test", ttls={name: 7})).ttl == 7


async def test_number_of_hosts_is_bounded():
    assert 0 < len((await route_of("many.test")).hosts) <= mx.MAX_HOSTS  # a busy machine may lose datagrams


async def test_hosts_of_one_preference_share_the_load():
    hosts = (MxHost("a", 5, ()), MxHost("b", 10, ()), MxHost("c", 10, ()))
    orders = {tuple(host.name for host in Route(hosts, 1).in_order(random.Random(seed))) for seed in range(50)}

    assert orders == {("a", "b", "c"), ("a", "c", "b")}


@pytest.mark.parametrize(
    ("host", "site"),
    [
        ("aspmx.l.google.com", "google.com"),
        ("gmail-smtp-in.l.google.com", "google.com"),
        ("aspmx2.googlemail.com", "google.com"),
        ("shop-com.mail.protection.outlook.com", "mail.protection.outlook.com"),
        ("shop-com.p-v1.mx.microsoft", "mail.protection.outlook.com"),
        ("outlook-com.olc.protection.outlook.com", "olc.protection.outlook.com"),
        ("mx3.qq.com", "qq.com"),
        ("mxbiz1.qq.com", "exmail.qq.com"),
        ("163mx01.mxmail.netease.com", "netease.com"),
        ("mxn.mxhichina.com", "aliyun"),
        ("mx1.qiye.aliyun.com", "aliyun"),
        ("freemx1.sinamail.sina.com.cn", "sina.com.cn"),
        ("mta5.am0.yahoodns.net", "yahoodns.net"),
        ("mx01.mail.icloud.com", "icloud.com"),
        ("mail.shop.co.uk", "shop.co.uk"),
        ("mx.kim.duckdns.org", "kim.duckdns.org"),
        ("mail.lee.duckdns.org", "lee.duckdns.org"),
        ("notgoogle.com", "notgoogle.com"),
        ("mx.shop.test", "shop.test"),
    ],
)
async def test_site_is_the_provider(host, site):
    assert mx.site_of([MxHost("z.elsewhere.test", 20, ()), MxHost(host, 10, ())]) == site


# What DANE demands

DIGEST = "ab" * 32
RECORD = Tlsa(3, 1, 1, DIGEST)
SIGNED_ZONES = {
    "safe.test": {"MX": ["10 mx.safe.test."]},
    "mx.safe.test": {"A": ["127.0.0.1"]},
    "_2525._tcp.mx.safe.test": {"TLSA": [f"3 1 1 {DIGEST}", f"0 1 1 {DIGEST}"]},
    "aliased.test": {"MX": ["10 mx.aliased.test."]},
    "mx.aliased.test": {"CNAME": ["mx.safe.test."]},
    "unusable.test": {"MX": ["10 mx.unusable.test."]},
    "mx.unusable.test": {"A": ["127.0.0.1"]},
    "_2525._tcp.mx.unusable.test": {"TLSA": [f"1 1 1 {DIGEST}"]},
    "under.test": {"MX": ["10 mx.under.test."]},
    "mx.under.test": {"A": ["127.0.0.1"]},
    "_2525._tcp.mx.under.test": {"TLSA": [f"2 0 1 {DIGEST}"]},
    "two.test": {"MX": ["10 mx.safe.test.", "20 mx.two.test."]},
    "mx.two.test": {"A": ["127.0.0.2"]},
}


async def demands_of(domain, *, unsigned=(), asks=True, **changes):
    server = NameServer(SIGNED_ZONES, signed=SIGNED_ZONES.keys() - set(unsigned), **changes)
    async with serving(server) as resolver:
        if asks:
            resolver.set_flags(dns.flags.RD | dns.flags.AD)
        route = await mx.resolve(domain, resolver, port=2525)
    return [host.demand for host in route.hosts], server.questions


@pytest.mark.parametrize(
    ("domain", "demand"),
    [
        ("safe.test", TlsDemand("DANE", ("mx.safe.test",), (RECORD,))),
        ("mx.safe.test", TlsDemand("DANE", ("mx.safe.test",), (RECORD,))),
        ("aliased.test", TlsDemand("DANE", ("mx.safe.test",), (RECORD,))),
        ("under.test", TlsDemand("DANE", ("mx.under.test", "under.test"), (Tlsa(2, 0, 1, DIGEST),))),
        ("unusable.test", TlsDemand("DANE")),
    ],
)
async def test_signed_tlsa_records_are_demanded(domain, demand):
    assert (await demands_of(domain))[0] == [demand]


async def test_each_host_has_its_own_demand():
    (safe, other), _ = await demands_of("two.test")

    assert safe == TlsDemand("DANE", ("mx.safe.test",), (RECORD,))
    assert other is None


@pytest.mark.parametrize("unsigned", ["safe.test", "mx.safe.test"])
async def test_tlsa_records_are_not_asked_for_where_dnssec_does_not_vouch_for_the_way(unsigned):
    demands, questions = await demands_of("safe.test", unsigned=[unsigned])

    assert demands == [None]
    assert "TLSA" not in {kind for _, kind in questions}


async def test_unsigned_tlsa_records_demand_nothing():
    assert (await demands_of("safe.test", unsigned=["_2525._tcp.mx.safe.test"]))[0] == [None]


async def test_resolver_that_is_not_to_be_trusted_is_not_believed():
    demands, questions = await demands_of("safe.test", asks=False)

    assert demands == [None]
    assert "TLSA" not in {kind for _, kind in questions}


@pytest.mark.parametrize("fault", ["SERVFAIL", SILENCE])
async def test_host_whose_tlsa_records_cannot_be_had_is_left_out(fault):
    faults = {"_2525._tcp.mx.safe.test": fault}

    with pytest.raises(DnsUnavailable):
        await demands_of("safe.test", faults=faults)
    assert (await demands_of("two.test", faults=faults))[0] == [None]


async def test_route_lives_no_longer_than_its_tlsa_records():
    server = NameServer(SIGNED_ZONES, signed=SIGNED_ZONES, ttls={"_2525._tcp.mx.safe.test": 9})
    async with serving(server) as resolver:
        resolver.set_flags(dns.flags.RD | dns.flags.AD)
        route = await mx.resolve("safe.test", resolver, port=2525)

    assert route.ttl == 9


async def test_hosts_of_one_preference_share_by_weight():
    hosts = (MxHost("a", 0, (), weight=3), MxHost("b", 0, ()))
    chance = random.Random(1)
    firsts = [Route(hosts, 1).in_order(chance)[0].name for _ in range(1000)]

    assert 700 < firsts.count("a") < 800
