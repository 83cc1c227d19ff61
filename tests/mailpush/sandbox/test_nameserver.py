"""The sandbox's name server, asked over real sockets."""

import dns.asyncquery
import dns.flags
import dns.message
import dns.rcode
import pytest

from mailpush.sandbox.nameserver import Nameserver, platform_records, serving

OWN = platform_records(mail_host="mx01.localhost", spf_include="spf1.localhost", public_host="localhost")


@pytest.fixture
async def port(world):
    async with serving(Nameserver(world, OWN), 0) as port:
        yield port


async def ask(port, name, kind, *, tcp=False):
    query = dns.message.make_query(name, kind)
    send = dns.asyncquery.tcp if tcp else dns.asyncquery.udp
    return await send(query, "127.0.0.1", port=port, timeout=5)


def values(answer):
    return [rdata.to_text() for rrset in answer.answer for rdata in rrset]


@pytest.mark.parametrize(
    ("name", "kind", "expected"),
    [
        ("example.com", "MX", ["10 mx.example.com."]),
        ("Example.COM", "MX", ["10 mx.example.com."]),
        ("mx.example.com", "A", ["127.0.0.1"]),
        ("example.com", "TXT", []),
        ("track.example.com", "CNAME", []),
        ("www.example.com", "A", []),
        ("mx.example.com", "AAAA", []),
        ("nullmx.example", "MX", ["0 ."]),
        ("mx01.localhost", "A", ["127.0.0.1"]),
        ("spf1.localhost", "TXT", ['"v=spf1 ip4:127.0.0.1 -all"']),
    ],
)
async def test_every_domain_has_a_mail_host_and_nothing_else(port, name, kind, expected):
    answer = await ask(port, name, kind)

    found = [value.lower() for value in values(answer)]  # names are compressed to the question's letters
    assert (answer.rcode(), found) == (dns.rcode.NOERROR, expected)


@pytest.mark.parametrize(
    ("name", "rcode"),
    [
        ("nxdomain.example", dns.rcode.NXDOMAIN),
        ("_dmarc.nxdomain-2.example", dns.rcode.NXDOMAIN),
        ("shop.invalid", dns.rcode.NXDOMAIN),
        ("servfail.example", dns.rcode.SERVFAIL),
    ],
)
async def test_names_that_misbehave(port, name, rcode):
    answer = await ask(port, name, "MX")

    assert (answer.rcode(), answer.answer) == (rcode, [])


async def test_published_records_are_served_until_withdrawn(world, port):
    world.publish("Example.com.", "mx", "10 mx01.localhost.")
    world.publish("example.com", "TXT", "v=spf1 include:spf1.localhost -all")

    assert values(await ask(port, "example.com", "MX")) == ["10 mx01.localhost."]
    assert values(await ask(port, "example.com", "TXT")) == ['"v=spf1 include:spf1.localhost -all"']

    assert world.withdraw("example.com", "MX") == 1
    assert values(await ask(port, "example.com", "MX")) == ["10 mx.example.com."]


async def test_alias_is_followed(world, port):
    world.publish("track.example.com", "CNAME", "localhost")

    assert values(await ask(port, "track.example.com", "A")) == ["localhost.", "127.0.0.1"]
    assert values(await ask(port, "track.example.com", "CNAME")) == ["localhost."]


async def test_alias_to_itself_ends(world, port):
    world.publish("loop.example.com", "CNAME", "loop.example.com")

    answer = await ask(port, "loop.example.com", "A")

    assert answer.rcode() == dns.rcode.NOERROR


async def test_long_text_comes_over_tcp(world, port):
    key = "v=DKIM1; k=rsa; p=" + "A" * 1500
    world.publish("s1._domainkey.example.com", "TXT", key)

    short = await ask(port, "s1._domainkey.example.com", "TXT")
    whole = await ask(port, "s1._domainkey.example.com", "TXT", tcp=True)

    assert (short.flags & dns.flags.TC, short.answer) == (dns.flags.TC, [])
    assert b"".join(next(iter(whole.answer[0])).strings).decode() == key


async def test_garbage_is_ignored(world, port):
    assert Nameserver(world, OWN).answer(b"\0\1garbage") is None
    assert Nameserver(world, OWN).answer(b"") is None
