"""The commands of the next letter on the end of the one before (RFC 2920 section 3.1)."""

import pytest

from mailpush.mail.client import ConnectionLost, Letter, Step
from tests.mailpush.mail.smtp_kit import Mailroom, open_door, scripted
from tests.mailpush.mail.test_client import BANNER, MESSAGE, QUICK, ehlo, visit

OPENED = b"250 ok\r\n250 ok\r\n354 go\r\n"
GREETING = (b"EHLO me.test\r\n", ehlo("PIPELINING"))
OPENING = (b"DATA\r\n", OPENED)


def letters(*recipients):
    return [Letter("a@a.test", recipient, MESSAGE) for recipient in recipients]


async def carry(session, queue):
    """Send letters one after the other; return codes and steps, the exception in the place of one that was lost."""
    found = []
    for place, letter in enumerate(queue):
        following = queue[place + 1] if place + 1 < len(queue) else None
        try:
            sent = await session.transfer(letter, lambda following=following: following)
            found.append((sent.reply.code, sent.step))
        except ConnectionLost as lost:
            found.append(lost)
            break
    return found


@pytest.mark.parametrize("missing", [set(), {"CHUNKING"}, {"PIPELINING"}, {"CHUNKING", "PIPELINING"}])
async def test_letters_follow_each_other_whatever_becomes_of_them(missing):
    door = Mailroom()
    queue = letters("one@b.test", "gone@b.test", "two@b.test", "later@b.test", "three@b.test")
    async with open_door(door) as listener:
        session = await visit(listener.port)
        for keyword in missing:
            del session.offers[keyword]

        found = await carry(session, queue)

        assert session.reusable
        await session.close()
    assert [code for code, _ in found] == [250, 550, 250, 451, 250]
    assert [content for _, content in door.taken] == [MESSAGE] * 3


class Above:
    """A field that stands above a letter; counts how often it is made."""

    size = len(b"Sealed: yes\r\n")

    def __init__(self):
        self.made = 0

    def __call__(self):
        self.made += 1
        return b"Sealed: yes\r\n"


@pytest.mark.parametrize("missing", [{"CHUNKING"}, {"CHUNKING", "PIPELINING"}])
async def test_a_letter_is_sealed_when_its_recipient_is_accepted(missing):
    door = Mailroom()
    queue = [Letter("a@a.test", address, MESSAGE, seal=Above()) for address in ("gone@b.test", "one@b.test")]
    async with open_door(door) as listener:
        session = await visit(listener.port)
        for keyword in missing:
            del session.offers[keyword]

        found = await carry(session, queue)

        await session.close()
    assert [code for code, _ in found] == [550, 250]
    assert [letter.seal.made for letter in queue] == [0, 1]
    [(envelope, content)] = door.taken
    assert content == b"Sealed: yes\r\n" + MESSAGE
    assert envelope.params["SIZE"] == str(len(content))


async def test_next_commands_come_with_the_end_of_the_message():
    steps = [
        GREETING,
        OPENING,
        (b"\r\n.\r\n", b""),
        (b"DATA\r\n", b"250 first\r\n" + OPENED),
        (b".\r\n", b"250 second\r\n"),
    ]
    async with scripted(BANNER, *steps) as (port, script):
        session = await visit(port)

        found = await carry(session, letters("one@b.test", "two@b.test"))

    assert found == [(250, Step.END_OF_DATA), (250, Step.END_OF_DATA)]
    # Nothing was said by the server between the end of the first message and the commands of the second.
    assert script.lines[3] == b"MAIL FROM:<a@a.test>\r\nRCPT TO:<two@b.test>\r\nDATA\r\n"


async def test_server_that_leaves_after_one_message_has_not_seen_the_next():
    steps = [GREETING, OPENING, (b"\r\n.\r\n", b""), (b"DATA\r\n", b"250 first\r\n421 4.7.0 enough\r\n")]
    async with scripted(BANNER, *steps) as (port, _):
        session = await visit(port, timeouts=QUICK)

        first, second = await carry(session, letters("one@b.test", "two@b.test"))

    assert (first, second) == ((250, Step.END_OF_DATA), (421, Step.MAIL))


async def test_line_that_breaks_leaves_only_the_message_before_in_doubt():
    steps = [GREETING, OPENING, (b"\r\n.\r\n", b""), (b"DATA\r\n", None)]
    async with scripted(BANNER, *steps) as (port, _):
        session = await visit(port, timeouts=QUICK)

        (lost,) = await carry(session, letters("one@b.test", "two@b.test"))

    assert lost.during_data


async def test_letter_the_server_cannot_take_is_not_announced():
    steps = [(b"EHLO me.test\r\n", ehlo("PIPELINING", "SIZE 100")), OPENING, (b"\r\n.\r\n", b"250 first\r\n")]
    queue = [*letters("one@b.test"), Letter("a@a.test", "two@b.test", b"x" * 200)]
    async with scripted(BANNER, *steps) as (port, script):
        session = await visit(port)

        found = await carry(session, queue)

    assert found == [(250, Step.END_OF_DATA), (552, Step.LOCAL)]
    assert len(script.lines) == 3
