import asyncio
import contextlib
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail import mta_sts
from mailpush.mail.mta_sts import Https, Mode, Policy, PolicyUnavailable, announced_id, parse, up_to_date
from tests.mailpush.mail.certificates import Authority
from tests.mailpush.mail.nameserver import SILENCE, NameServer, serving

NOW = datetime(2026, 5, 1, tzinfo=UTC)
TEXT = "version: STSv1\r\nmode: enforce\r\nmx: mx1.shop.test\r\nmx: *.mail.shop.test\r\nmax_age: 604800\r\n"
POLICY = Policy("1", Mode.ENFORCE, ("mx1.shop.test", "*.mail.shop.test"), 604800, NOW)
AUTHORITY = Authority()


# What is written


@pytest.mark.parametrize(
    ("texts", "announced"),
    [
        (["v=STSv1; id=20260501T1;"], "20260501T1"),
        (["v=STSv1;id=1"], "1"),
        (["v=STSv1 ; other=x ; id=1 ; id=2"], "1"),
        (["v=spf1 -all", "v=STSv1; id=1;"], "1"),
        ([], None),
        (["v=spf1 -all"], None),
        (["v=STSv1"], None),
        (["v=STSv1; id="], None),
        (["v=STSv1; id=a-b;"], None),
        (["v=STSv1; id=" + "1" * 33], None),
        (["v=STSv2; id=1;"], None),
        (["v=STSv1; id=1;", "v=STSv1; id=2;"], None),
    ],
)
def test_announcement(texts, announced):
    assert announced_id(texts) == announced


@pytest.mark.parametrize(
    ("text", "policy"),
    [
        (TEXT, POLICY),
        (TEXT.replace("\r\n", "\n"), POLICY),
        ("max_age:604800\nmx:MX1.shop.test.\nmx: *.mail.shop.test \nmode:enforce\nversion:STSv1\nsun: shines", POLICY),
        (TEXT + "mode: none\r\nmax_age: 1\r\n", POLICY),
        ("version: STSv1\nmode: none\nmax_age: 99999999", Policy("1", Mode.NONE, (), 31_557_600, NOW)),
    ],
)
def test_policy_is_read(text, policy):
    assert parse(text, "1", now=NOW) == policy


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("STSv1", "STSv2"),
        ("version: STSv1", ""),
        ("mode: enforce", ""),
        ("enforce", "force"),
        ("max_age: 604800", ""),
        ("604800", "-1"),
        ("604800", "99999999999"),
        ("604800", "६"),
        ("mx: mx1.shop.test\r\nmx: *.mail.shop.test\r\n", ""),
        ("mx1.shop.test", "mx1.*.test"),
        ("mx1.shop.test", "*"),
        ("mx1.shop.test", ""),
    ],
)
def test_what_is_no_policy_is_refused(was, becomes):
    with pytest.raises(PolicyUnavailable):
        parse(TEXT.replace(was, becomes), "1", now=NOW)


@given(st.text() | st.lists(st.sampled_from(TEXT.splitlines())).map("\n".join))
def test_no_text_makes_it_stumble(text):
    with contextlib.suppress(PolicyUnavailable):
        assert parse(text, "1", now=NOW).max_age >= 0


@pytest.mark.parametrize(
    ("host", "is_allowed"),
    [
        ("mx1.shop.test", True),
        ("MX1.Shop.test", True),
        ("a.mail.shop.test", True),
        ("a.b.mail.shop.test", False),
        ("mail.shop.test", False),
        ("mx2.shop.test", False),
        ("evil-mail.shop.test", False),
        ("", False),
    ],
)
def test_hosts_of_the_policy(host, is_allowed):
    assert POLICY.allows(host) == is_allowed


# What is fetched


def answer(body=TEXT, *, status="200 OK", kind="text/plain; charset=utf-8", head=""):
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\n{head}Connection: close\r\n\r\n{body}".encode()


class World:
    """A domain shop.test with its announcement and its web server."""

    def __init__(self) -> None:
        self.announcement = "v=STSv1; id=1;"
        self.answer = answer()
        self.authority = AUTHORITY
        self.name = "mta-sts.shop.test"
        self.address = "127.0.0.1"
        self.faults = {}
        self.may_be_private = True
        self.requests = []

    async def converse(self, reader, writer):
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            self.requests.append(await reader.readuntil(b"\r\n\r\n"))
            writer.write(self.answer)
            await writer.drain()
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def ask(self, known=None, *, tmp_path, now=NOW, domain="shop.test"):
        zones = {"mta-sts.shop.test": {"A": [self.address]}}
        if self.announcement:
            zones["_mta-sts.shop.test"] = {"TXT": [f'"{self.announcement}"']}
        web = await asyncio.start_server(
            self.converse, "127.0.0.1", 0, ssl=self.authority.issue(self.name).serving(tmp_path)
        )
        https = Https(web.sockets[0].getsockname()[1], AUTHORITY.trusting(), may_be_private=self.may_be_private)
        try:
            async with serving(NameServer(zones, faults=self.faults)) as resolver:
                return await up_to_date(domain, known, resolver, now=now, https=https)
        finally:
            web.close()
            await asyncio.sleep(0.01)


@pytest.fixture
def world():
    return World()


@pytest.mark.parametrize(
    "reply",
    [
        answer(),
        answer(f"{len(TEXT):x}\r\n{TEXT}\r\n0\r\n\r\n", head="Transfer-Encoding: chunked\r\n"),
        answer(head=f"Content-Length: {len(TEXT)}\r\n"),
        b"HTTP/1.1 103 Early Hints\r\n\r\n" + answer(kind="Text/Plain"),
    ],
)
async def test_policy_is_fetched(world, tmp_path, reply):
    world.answer = reply

    assert await world.ask(tmp_path=tmp_path) == POLICY
    (request,) = world.requests
    assert request.startswith(b"GET /.well-known/mta-sts.txt HTTP/1.1\r\nHost: mta-sts.shop.test\r\n")


def broken(**changes):
    return pytest.param(changes, id="-".join(f"{name}={value!s:.30}" for name, value in changes.items()))


BROKEN = [
    broken(answer=answer(status="301 Moved", head="Location: https://shop.test/\r\n")),
    broken(answer=answer(status="404 Not Found")),
    broken(answer=answer(kind="text/html")),
    broken(answer=answer("version: STSv2")),
    broken(answer=answer(TEXT + "#" * 70_000)),
    broken(answer=answer(head="Content-Length: 70000\r\n")),
    broken(answer=b"SSH-2.0-OpenSSH\r\n"),
    broken(answer=b""),
    broken(answer=answer() + b"\xff"),
    broken(name="shop.test"),
    broken(authority=Authority("Another")),
    broken(may_be_private=False),
    broken(address="127.0.0.9"),
    broken(faults={"mta-sts.shop.test": "NXDOMAIN"}),
    broken(faults={"mta-sts.shop.test": "SERVFAIL"}),
]


@pytest.mark.parametrize("changes", BROKEN)
async def test_failure_to_fetch_keeps_what_is_known(world, tmp_path, changes):
    vars(world).update(changes)
    known = Policy("0", Mode.ENFORCE, ("mx.shop.test",), 3600, NOW - timedelta(minutes=59))

    with pytest.raises(PolicyUnavailable):
        await world.ask(tmp_path=tmp_path)
    assert await world.ask(known, tmp_path=tmp_path) == known
    with pytest.raises(PolicyUnavailable):
        await world.ask(known, tmp_path=tmp_path, now=NOW + timedelta(minutes=1))


async def test_server_that_never_ends_is_left(world, tmp_path, monkeypatch):
    async def hang(reader, writer):
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
        await reader.read()
        await reader.read()
        writer.close()

    monkeypatch.setattr(mta_sts, "FETCH_TAKES", 0.3)
    monkeypatch.setattr(world, "converse", hang)

    with pytest.raises(PolicyUnavailable, match="timed out"):
        await world.ask(tmp_path=tmp_path)


@pytest.mark.parametrize(
    ("announcement", "faults"),
    [("", {}), ("v=spf1", {}), ("v=STSv1; id=1;", {"_mta-sts.shop.test": SILENCE})],
    ids=["none", "other", "silence"],
)
async def test_announcement_that_is_gone_keeps_what_is_known(world, tmp_path, announcement, faults):
    world.announcement, world.faults = announcement, faults
    known = Policy("1", Mode.ENFORCE, ("mx.shop.test",), 3600, NOW)

    assert await world.ask(known, tmp_path=tmp_path) == known
    assert await world.ask(known, tmp_path=tmp_path, now=NOW + timedelta(hours=1)) is None
    assert await world.ask(tmp_path=tmp_path) is None
    assert world.requests == []


@pytest.mark.parametrize(
    ("known_id", "age", "fetches"), [("1", 23, 0), ("1", 25, 1), ("0", 0, 1)], ids=["same", "old", "changed"]
)
async def test_known_policy_is_fetched_again_when_it_changes_or_ages(world, tmp_path, known_id, age, fetches):
    known = Policy(known_id, Mode.NONE, (), 604800, NOW - timedelta(hours=age))

    assert await world.ask(known, tmp_path=tmp_path) == (POLICY if fetches else known)
    assert len(world.requests) == fetches


async def test_name_that_is_no_domain_has_no_policy(world, tmp_path):
    assert await world.ask(tmp_path=tmp_path, domain="a..test") is None
