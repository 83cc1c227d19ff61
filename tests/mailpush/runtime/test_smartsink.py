"""The smart sink over real sockets: what each fate and manner does, and that its books are exact."""

import asyncio
import json
import sys
from contextlib import suppress

import pytest

from mailpush.runtime.smartsink.__main__ import drop_packets
from mailpush.runtime.smartsink.books import Books
from mailpush.runtime.smartsink.fates import Answer, said
from mailpush.runtime.smartsink.servers import ELSEWHERE, SERVERS, Manner, Server
from mailpush.runtime.smartsink.talk import House, Talk

HOST = "127.0.0.1"


class Client:
    """One connection; `ask` sends octets and returns what comes back at once."""

    @classmethod
    async def to(cls, server):
        client = cls()
        client.reader, client.writer = await asyncio.open_connection(*server)
        return client

    async def read(self, seconds=5):
        return (await asyncio.wait_for(self.reader.read(10_000), seconds)).decode()

    async def ask(self, octets):
        self.writer.write(octets.encode())
        return await self.read()

    async def send(self, recipient, content="Message-ID: <1@x.example>\r\n\r\nHello\r\n"):
        """Return the last answer to one mail, empty where the connection broke."""
        answer = await self.ask(f"MAIL FROM:<a@x.example>\r\nRCPT TO:<{recipient}>\r\nDATA\r\n")
        if not answer.endswith("354 End with a dot\r\n"):
            return answer.splitlines()[1] if answer.count("\r\n") > 1 else ""
        return (await self.ask(f"{content}.\r\n")).strip()


@pytest.fixture
async def serve():
    """Have a server of some kind; returns where it is."""
    listeners = []

    async def serve(server=ELSEWHERE, books=None):
        house = House(server, books)
        listeners.append(await asyncio.get_running_loop().create_server(lambda: Talk(house), HOST, 0))
        return listeners[-1].sockets[0].getsockname()

    yield serve
    for listener in listeners:
        listener.close()


@pytest.fixture
async def knock(serve):
    """Connect to a server."""
    clients = []

    async def knock(server):
        clients.append(await Client.to(server))
        return clients[-1]

    yield knock
    for client in clients:
        client.writer.close()
        with suppress(OSError):
            await client.writer.wait_closed()


@pytest.fixture
def enter(knock):
    """Connect to a server that greets."""

    async def enter(server):
        client = await knock(server)
        assert (await client.read()).startswith("220 ")
        return client

    return enter


@pytest.mark.parametrize(
    ("fate", "codes"),
    [
        ("reader", ["250"]),
        ("later", ["451", "451", "250"]),
        ("busy", ["450", "250"]),
        ("rate", ["451", "250"]),
        ("gone", ["550", "550"]),
        ("spam", ["554", "554"]),
        ("full", ["452", "452"]),
        ("slow", ["250"]),
    ],
)
async def test_the_local_part_tells_what_happens(serve, enter, fate, codes):
    client = await enter(await serve())

    assert [(await client.send(f"{fate}-1@north.example"))[:3] for _ in codes] == codes


@pytest.mark.parametrize("number", range(6))
async def test_a_connection_breaks_once(serve, enter, number):
    server = await serve()

    assert await (await enter(server)).send(f"drop-{number}@north.example") == ""
    assert await (await enter(server)).send(f"drop-{number}@north.example") == "250 2.0.0 Accepted"


async def test_commands_in_one_packet_are_answered_in_order(serve, enter):
    client = await enter(await serve())

    answer = await client.ask(
        "EHLO x\r\nMAIL FROM:<a@x.example>\r\nRCPT TO:<r-1@n.example>\r\nDATA\r\n.\r\nDATA\r\nWHAT\r\nQUIT\r\n"
    )

    codes = [line[:3] for line in answer.splitlines() if line[3:4] == " "]
    assert codes == ["250", "250", "250", "354", "250", "354"]  # what follows the second DATA is content


async def test_content_ends_where_its_end_is_cut_in_two(serve, enter):
    client = await enter(await serve())
    await client.ask("MAIL FROM:<a@x.example>\r\nRCPT TO:<r-1@n.example>\r\nDATA\r\n")

    client.writer.write(b"one\r\n..two\r\n.")
    await asyncio.sleep(0.05)

    assert await client.ask("\r\nNOOP\r\n") == "250 2.0.0 Accepted\r\n250 2.1.0 OK\r\n"


async def test_data_without_a_recipient_is_out_of_order(serve, enter):
    client = await enter(await serve())

    assert (await client.ask("MAIL FROM:<a@x.example>\r\nDATA\r\n")).splitlines()[1][:3] == "503"


async def test_a_greylisting_server_puts_everybody_off(serve, enter):
    client = await enter(await serve(Server("", HOST, manner=Manner.GREYLISTING)))

    assert [(await client.send("reader-1@north.example"))[:3] for _ in range(3)] == ["451", "451", "250"]


async def test_a_busy_server_lets_nobody_in(serve, knock):
    client = await knock(await serve(Server("", HOST, manner=Manner.BUSY)))

    assert (await client.read()).startswith("421 ")
    assert await client.read() == ""


async def test_a_silent_server_says_nothing(serve, knock):
    client = await knock(await serve(Server("", HOST, manner=Manner.SILENT)))

    with pytest.raises(TimeoutError):
        await client.read(0.3)


async def test_connections_above_the_limit_are_sent_away(serve, enter, knock):
    server = await serve(Server("", HOST, connections=1))
    await enter(server)

    assert (await (await knock(server)).read()).startswith("421 ")


async def test_mails_above_the_limit_of_a_connection_are_not_taken(serve, enter):
    client = await enter(await serve(Server("", HOST, mails_per_connection=1)))

    await client.send("reader-1@north.example")

    assert (await client.ask("MAIL FROM:<a@x.example>\r\n")).startswith("421 ")
    assert await client.read() == ""


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere the kernel's queue works otherwise")
async def test_a_deaf_server_drops_packets():
    held = drop_packets(HOST, 0)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.open_connection(*held[0].getsockname()), 0.5)
    for each in held:
        each.close()


async def test_the_books_have_what_was_accepted_and_nothing_else(serve, enter, tmp_path):
    path = tmp_path / "books"
    client = await enter(await serve(books=Books(path)))

    for fate in ("reader", "gone", "spam", "busy", "busy"):
        await client.send(f"{fate}-1@north.example", f"Subject: x\r\nMessage-ID: <{fate}@x.example>\r\n\r\nHello\r\n")

    entries = [json.loads(line)[1:] for line in path.read_text().splitlines()]
    assert entries == [["<reader@x.example>", "reader-1@north.example"], ["<busy@x.example>", "busy-1@north.example"]]


def test_a_reply_of_several_lines():
    assert said("550 5.1.1 No\n5.1.1 such") == Answer(b"550-5.1.1 No\r\n550 5.1.1 such\r\n")
    assert said("421 Later").is_last


def test_every_server_has_an_address_and_a_domain_of_its_own():
    assert len({server.address for server in SERVERS}) == len({server.domain for server in SERVERS}) == len(SERVERS)
