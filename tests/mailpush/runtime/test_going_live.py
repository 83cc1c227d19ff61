"""`manage.py check --deploy` asks a real name server what receivers will ask."""

import pytest

from mailpush.runtime.going_live import names_in_dns
from tests.domains.conftest import world  # noqa: F401 - a fixture

HOST, INCLUDE = "mx01.push.example", "spf1.push.example"
PTR = "9.2.0.192.in-addr.arpa"
IP = "192.0.2.9"


@pytest.fixture
def live(settings, world):  # noqa: F811
    settings.MAILPUSH_DELIVERY = "mx"
    settings.MAILPUSH_MAIL_HOST, settings.MAILPUSH_SPF_INCLUDE = HOST, INCLUDE
    settings.MAILPUSH_SOURCE_IPS = {}
    world.zones |= {
        HOST: {"A": [IP]},
        PTR: {"PTR": [f"{HOST.upper()}."]},
        INCLUDE: {"TXT": ['"v=spf1 ip4:192.0.2.0/28 -all"']},
    }
    return world


def said():
    return [message.msg for message in names_in_dns()]


def test_nothing_is_missing(live):
    assert said() == []


def test_nobody_looks_in_the_sandbox(live, settings):
    live.zones.clear()
    settings.MAILPUSH_DELIVERY = "sandbox"

    assert said() == []


def test_relays_introduce_themselves(live, settings):
    settings.MAILPUSH_DELIVERY = "relay"
    del live.zones[PTR], live.zones[INCLUDE]
    assert said() == []

    del live.zones[HOST]
    assert said() == [f"{HOST} has no address."]


def test_ptr_record(live):
    del live.zones[PTR]
    assert said() == [f"{IP} has no PTR record."]

    live.zones[PTR] = {"PTR": ["host-9.provider.example."]}
    assert said() == [f"The PTR record of {IP} says host-9.provider.example."]


def test_each_source_address(live, settings):
    settings.MAILPUSH_SOURCE_IPS = {"batch": [IP], "account-7": ["2001:db8::1", IP]}

    assert said() == [
        "2001:db8::1 has no PTR record.",
        f"{HOST} does not lead to 2001:db8::1, from which mail leaves.",
        f"SPF at {INCLUDE} does not pass 2001:db8::1.",
    ]


def test_source_address_with_a_name_of_its_own(live, settings):
    """It greets with that name, so nothing needs to lead to the mail host."""
    settings.MAILPUSH_SOURCE_IPS = {"batch": ["192.0.2.8"]}
    live.zones |= {"8.2.0.192.in-addr.arpa": {"PTR": ["out8.push.example."]}, "out8.push.example": {"A": ["192.0.2.8"]}}
    assert said() == []

    live.zones["out8.push.example"] = {"A": ["192.0.2.7"]}
    (message,) = names_in_dns()
    assert message.msg == "The PTR record of 192.0.2.8 says out8.push.example."
    assert message.hint == f"Publish an A record of that name: 192.0.2.8. Until then we greet as {HOST}."

    live.zones["8.2.0.192.in-addr.arpa"] = {"PTR": [f"{HOST}."]}
    assert said() == [f"{HOST} does not lead to 192.0.2.8, from which mail leaves."]


def test_source_address_behind_translation_greets_as_the_mail_host(live, settings):
    settings.MAILPUSH_SOURCE_IPS = {"batch": ["10.0.0.5"]}
    live.zones |= {"5.0.0.10.in-addr.arpa": {"PTR": ["ip-5.internal."]}, "ip-5.internal": {"A": ["10.0.0.5"]}}

    assert "The PTR record of 10.0.0.5 says ip-5.internal." in said()


@pytest.mark.parametrize(
    ("record", "sentences"),
    [
        ("v=spf1 ip4:192.0.2.16/28 -all", [f"SPF at {INCLUDE} does not pass {IP}."]),
        ("v=other", [f"SPF at {INCLUDE} does not pass {IP}."]),
        ("v=spf1 include:other.example -all", []),  # its owner knows
        ("v=spf1 ip4:192.0.2.9.1 -all", [f"In the SPF record of {INCLUDE}, ip4 has no usable value: 192.0.2.9.1"]),
    ],
)
def test_spf(live, record, sentences):
    live.zones[INCLUDE] = {"TXT": [f'"{record}"']}

    assert said() == sentences


def test_silent_name_server(live):
    live.faults[HOST] = "SERVFAIL"

    assert said() == [f"DNS did not answer for {HOST}. Try again later."]
