"""What the pretend internet remembers."""

import pytest

from mailpush.sandbox import world as world_module
from mailpush.sandbox.world import BadRecord, Mail, Record


def mail(number):
    raw = f"Subject: Number {number}\r\n\r\nHello\r\n".encode()
    return Mail(
        float(number), "a@x.example", f"R{number}@y.example", f"Number {number}", "127.0.0.1", True, len(raw), raw
    )


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [
        ("example.com", "A", "127.0.0.256"),
        ("example.com", "MX", "mx.example.com"),
        ("example.com", "SOA", "x"),
        ("a..b", "TXT", "x"),
        (".".join(["x" * 60] * 5), "TXT", "x"),
        ("example.com", "CNAME", "not a name"),
    ],
)
def test_what_cannot_stand_in_dns_is_refused(world, name, kind, value):
    with pytest.raises(BadRecord):
        world.publish(name, kind, value)

    assert world.records() == []


def test_a_record_is_published_once(world):
    world.publish("example.com", "TXT", "one")
    world.publish("EXAMPLE.com.", "txt", "one")

    assert world.records("example.com") == [Record("example.com", "TXT", "one")]
    assert world.records(containing="AMPLE") == [Record("example.com", "TXT", "one")]


def test_withdrawing_one_value_leaves_the_others(world):
    world.publish("example.com", "TXT", "one")
    world.publish("example.com", "TXT", "two")

    assert world.withdraw("example.com", "TXT", "one") == 1
    assert world.records("example.com") == [Record("example.com", "TXT", "two")]


def test_only_the_newest_mails_are_kept_but_all_are_counted(world, monkeypatch):
    monkeypatch.setattr(world_module, "KEPT_MAILS", 3)

    world.capture([mail(number) for number in range(1, 6)])
    world.capture([mail(6)])

    assert [each.subject for each in world.mails()] == ["Number 6", "Number 5", "Number 4"]
    assert world.mail_count() == 6


def test_search_looks_at_recipient_and_subject(world):
    world.capture([mail(1), mail(2)])

    assert [each.rcpt_to for each in world.mails(search="r2@")] == ["R2@y.example"]
    assert [each.rcpt_to for each in world.mails(search="NUMBER 1")] == ["R1@y.example"]
    assert world.mail(world.mails(search="r2@")[0].id).raw.endswith(b"Hello\r\n")
