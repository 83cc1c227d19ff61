"""Names of addresses, asked of a real name server: only those that lead back count."""

import pytest

from mailpush.mail.records import NoAnswer
from mailpush.mail.reverse import Reverse, is_translated, look_back
from tests.mailpush.mail.nameserver import SILENCE, NameServer, serving

PTR4 = "9.2.0.192.in-addr.arpa"
PTR6 = "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"


async def looked_back(address, zones, faults=None):
    async with serving(NameServer(zones, faults or {})) as resolver:
        return await look_back(address, resolver)


@pytest.mark.parametrize(
    ("address", "zones", "names", "confirmed"),
    [
        ("192.0.2.9", {}, [], []),
        ("192.0.2.9", {PTR4: {"TXT": ['"x"']}}, [], []),
        ("192.0.2.9", {PTR4: {"PTR": ["Out.US.test."]}, "out.us.test": {"A": ["192.0.2.9"]}}, ["out.us.test"], True),
        ("192.0.2.9", {PTR4: {"PTR": ["out.us.test."]}, "out.us.test": {"A": ["192.0.2.8"]}}, ["out.us.test"], []),
        ("192.0.2.9", {PTR4: {"PTR": ["out.us.test."]}, "out.us.test": {"AAAA": ["::1"]}}, ["out.us.test"], []),
        ("192.0.2.9", {PTR4: {"PTR": ["out.us.test."]}}, ["out.us.test"], []),
        (
            "192.0.2.9",
            {PTR4: {"CNAME": ["9.nets.test."]}, "9.nets.test": {"PTR": ["b.test."]}, "b.test": {"A": ["192.0.2.9"]}},
            ["b.test"],
            True,
        ),
        (
            "192.0.2.9",
            {PTR4: {"PTR": ["c.test.", "a.test.", "b.test."]}, "b.test": {"A": ["192.0.2.1", "192.0.2.9"]}},
            ["a.test", "b.test", "c.test"],
            ["b.test"],
        ),
        (
            "2001:db8:0:0::1",
            {PTR6: {"PTR": ["out.us.test."]}, "out.us.test": {"A": ["192.0.2.9"], "AAAA": ["2001:db8::0:1"]}},
            ["out.us.test"],
            True,
        ),
    ],
)
async def test_names_count_that_lead_back(address, zones, names, confirmed):
    confirmed = names if confirmed is True else confirmed

    assert await looked_back(address, zones) == Reverse(tuple(names), tuple(confirmed))


@pytest.mark.parametrize("name", ["out_1.us.test", r"out\032a.us.test", r"a\013\010.us.test", "out", "-a.us.test"])
async def test_what_is_no_host_name_is_no_name_to_greet_with(name):
    zones = {PTR4: {"PTR": [f"{name}."]}, name: {"A": ["192.0.2.9"]}}

    assert await looked_back("192.0.2.9", zones) == Reverse((name,), ())


@pytest.mark.parametrize("fault", ["SERVFAIL", "REFUSED", SILENCE])
@pytest.mark.parametrize("name", [PTR4, "out.us.test"])
async def test_silence_is_no_finding(name, fault):
    zones = {PTR4: {"PTR": ["out.us.test."]}, "out.us.test": {"A": ["192.0.2.9"]}}

    with pytest.raises(NoAnswer):
        await looked_back("192.0.2.9", zones, {name: fault})


async def test_one_confirmed_name_is_enough():
    zones = {PTR4: {"PTR": ["a.test.", "b.test."]}, "b.test": {"A": ["192.0.2.9"]}}

    assert await looked_back("192.0.2.9", zones, {"a.test": "SERVFAIL"}) == Reverse(("a.test", "b.test"), ("b.test",))


@pytest.mark.parametrize(
    ("confirmed", "name"), [((), ""), (("a.test", "b.test"), "a.test"), (("a.test", "us.test"), "us.test")]
)
def test_wanted_name_goes_before_others(confirmed, name):
    assert Reverse(confirmed, confirmed).name("us.test") == name


@pytest.mark.parametrize(
    ("address", "is_it"),
    [
        ("10.1.2.3", True),
        ("172.31.0.1", True),
        ("192.168.0.9", True),
        ("100.64.0.1", True),
        ("fd00::1", True),
        ("172.32.0.1", False),
        ("8.8.8.8", False),
        ("127.0.0.2", False),
        ("2001:db8::1", False),
    ],
)
def test_addresses_of_private_networks(address, is_it):
    assert is_translated(address) is is_it
