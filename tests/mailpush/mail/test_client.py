import asyncio
import dataclasses

import pytest
from cryptography.hazmat.primitives.serialization import Encoding
from dns.rdtypes.ANY.TLSA import TLSA

from mailpush.mail.client import (
    ConnectFailed,
    ConnectionLost,
    Dsn,
    LoginRefused,
    Sent,
    Step,
    Timeouts,
    TlsFailed,
    TlsPolicy,
    connect,
)
from mailpush.mail.dane import usable
from mailpush.mail.replies import Reply
from mailpush.mail.server import AuthPolicy, Limits
from mailpush.mail.tls import TlsDemand
from tests.mailpush.mail.certificates import Authority
from tests.mailpush.mail.smtp_kit import HOST, Mailroom, client_tls, open_door, scripted, server_tls

MESSAGE = b"Subject: hi\r\n\r\n.dot\r\n..\r\n"
BANNER = b"220 mx.test ESMTP\r\n"
QUICK = Timeouts(banner=0.2, mail=0.2, rcpt=0.2, data=0.2, block=0.2, end_of_data=0.2, reset=0.2, quit=0.2)


def ehlo(*offers):
    lines = ["mx.test", *offers]
    return "".join(f"250{' ' if line is lines[-1] else '-'}{line}\r\n" for line in lines).encode()


@pytest.fixture
def door():
    return Mailroom()


async def visit(port, **options):
    return await connect(HOST, port, helo="me.test", **options)


# Against our own server, in every dialect

DIALECTS = [
    set(),
    {"CHUNKING"},
    {"PIPELINING"},
    {"CHUNKING", "PIPELINING"},
    {"CHUNKING", "PIPELINING", "SIZE", "8BITMIME", "SMTPUTF8", "DSN"},
]


@pytest.mark.parametrize("missing", DIALECTS, ids=lambda missing: "-".join(sorted(missing)) or "all")
@pytest.mark.parametrize("size", [0, 300_000])
async def test_messages_over_one_connection_in_every_dialect(door, missing, size):
    message = MESSAGE + b"a" * size + b"\r\n"
    async with open_door(door) as listener:
        session = await visit(listener.port)
        for keyword in missing:
            del session.offers[keyword]
        steps = []
        for rcpt in ("one@b.test", "gone@b.test", "later@b.test", "two@b.test"):
            sent = await session.send("a@a.test", rcpt, message)
            steps.append((sent.reply.code, sent.step))
            assert session.reusable
        refused = await session.send("a@a.test", "b@b.test", b"X-Refuse: yes\r\n" + message)
        from_gone = await session.send("gone@a.test", "b@b.test", message)
        after = await session.send("", "three@b.test", message)
        await session.close()

    assert steps == [(250, Step.END_OF_DATA), (550, Step.RCPT), (451, Step.RCPT), (250, Step.END_OF_DATA)]
    assert (refused.reply, refused.step) == (Reply(554, "5.6.0 I do not like it"), Step.END_OF_DATA)
    assert (from_gone.reply, from_gone.step) == (Reply(550, "5.1.1 No such user"), Step.MAIL)
    assert after.reply.code == 250
    assert session.sent_count == 7
    assert not session.reusable
    assert [(envelope.rcpts[0].address, content) for envelope, content in door.taken] == [
        (rcpt, message) for rcpt in ("one@b.test", "two@b.test", "three@b.test")
    ]


async def test_parameters_where_offered(door):
    async with open_door(door) as listener:
        session = await visit(listener.port)
        dsn = Dsn(ret="HDRS", envid="x1", notify="FAILURE", orcpt="rfc822;b@b.test")
        await session.send("ä@a.test", "b@b.test", "Subject: é\r\n".encode(), dsn=dsn)
        await session.close()

    envelope = door.taken[0][0]
    assert envelope.mail_from == "ä@a.test"
    assert envelope.params == {"SIZE": "13", "BODY": "8BITMIME", "SMTPUTF8": "", "RET": "HDRS", "ENVID": "x1"}
    assert envelope.rcpts[0].params == {"NOTIFY": "FAILURE", "ORCPT": "rfc822;b@b.test"}


@pytest.mark.parametrize(
    ("lacking", "rcpt", "size", "code"),
    [("SMTPUTF8", "ä@b.test", 1, "5.6.7"), ("", "b@b.test", 2000, "5.3.4")],
)
async def test_what_the_server_cannot_take_is_refused_here(door, lacking, rcpt, size, code):
    async with open_door(door, limits=Limits(message_size=1000)) as listener:
        session = await visit(listener.port)
        session.offers.pop(lacking, None)
        sent = await session.send("a@a.test", rcpt, b"a" * size + b"\r\n")
        assert session.reusable
        await session.close()

    assert (sent.step, sent.reply.enhanced_code, session.sent_count) == (Step.LOCAL, code, 0)


@pytest.mark.parametrize(
    ("mail_from", "rcpt", "message"),
    [
        ("a@a.test", "b@b.test", b"a\nb\r\n"),
        ("a@a.test", "b@b.test", b"a\rb\r\n"),
        ("a@a.test", "b@b.test", b"a\n\r"),
        ("a@a.test\r\nRSET", "b@b.test", b""),
        ("a@a.test> SIZE=1", "b@b.test", b""),
        ("a@a.test", "", b""),
        ("a@a.test", "<b@b.test>", b""),
    ],
)
async def test_what_would_break_smtp_is_not_sent(door, mail_from, rcpt, message):
    async with open_door(door) as listener:
        session = await visit(listener.port)
        with pytest.raises(ValueError, match=r"."):
            await session.send(mail_from, rcpt, message)
        assert session.reusable
        await session.close()

    assert door.taken == []


def test_dsn_cannot_carry_another_parameter():
    with pytest.raises(ValueError, match="cannot stand"):
        Dsn(envid="x RET=FULL")


# TLS and login


async def test_opportunistic_tls_takes_any_certificate(door, tmp_path):
    async with open_door(door, tls=server_tls(tmp_path)) as listener:
        session = await visit(listener.port, server_name="other.test")
        sent = await session.send("a@a.test", "b@b.test", MESSAGE)
        await session.close()

    assert (sent.tls, sent.reply.code) == (True, 250)


async def test_required_tls_takes_the_right_certificate_only(door, tmp_path):
    async with open_door(door, tls=server_tls(tmp_path)) as listener:
        trust = {"tls": TlsPolicy.REQUIRED, "tls_context": client_tls(tmp_path)}
        session = await visit(listener.port, server_name="mx.test", **trust)
        assert session.is_encrypted
        await session.close()
        with pytest.raises(TlsFailed, match="mismatch"):
            await visit(listener.port, server_name="other.test", **trust)


async def test_required_tls_is_not_done_without(door):
    async with open_door(door) as listener:
        with pytest.raises(TlsFailed, match="not offered"):
            await visit(listener.port, tls=TlsPolicy.REQUIRED)


async def test_failed_handshake_is_told_apart():
    async with scripted(BANNER, (b"\r\n", ehlo("STARTTLS")), (b"\r\n", b"220 go\r\n"), (b"\x16", None)) as (port, _):
        with pytest.raises(TlsFailed) as failed:
            await visit(port, server_name="mx.test")

    assert failed.value.stage == "STARTTLS"


async def test_refused_starttls_goes_on_in_the_open():
    steps = [(b"\r\n", ehlo("STARTTLS")), (b"\r\n", b"454 4.7.0 not now\r\n"), (b"QUIT\r\n", b"221 bye\r\n")]
    async with scripted(BANNER, *steps) as (port, _):
        session = await visit(port)
        assert (session.is_encrypted, session.reusable) == (False, True)
        await session.close()


AUTHORITY = Authority()
SERVER = AUTHORITY.issue("mx.test")
OWN = usable([TLSA("IN", "TLSA", 3, 0, 0, SERVER.ders[0])])
ABOVE = usable([TLSA("IN", "TLSA", 2, 0, 0, AUTHORITY.certificate.public_bytes(Encoding.DER))])
OTHER = usable([TLSA("IN", "TLSA", 3, 1, 1, bytes(32))])


@pytest.mark.parametrize(
    "demand",
    [
        TlsDemand("DANE", ("mx.test",), OWN),
        TlsDemand("DANE", ("other.test", "mx.test"), ABOVE),
        TlsDemand("DANE", ("mx.test",), (*OTHER, *OWN)),
        TlsDemand("DANE"),
    ],
)
async def test_server_with_the_demanded_certificate_is_spoken_to(door, tmp_path, demand):
    async with open_door(door, tls=SERVER.serving(tmp_path)) as listener:
        session = await visit(listener.port, server_name="mx.test", tls=TlsPolicy.OFF, demand=demand)
        sent = await session.send("a@a.test", "b@b.test", MESSAGE)
        await session.close()

    assert (sent.tls, sent.reply.code) == (True, 250)


@pytest.mark.parametrize(
    ("demand", "reason"),
    [
        (
            TlsDemand("DANE", ("mx.test",), OTHER),
            "matches none of its TLSA records, but the recipient's domain demands trusted TLS (DANE)",
        ),
        (TlsDemand("DANE", ("other.test",), ABOVE), "is not in order under the authority of its TLSA record"),
        (
            TlsDemand("MTA-STS", ("mx.test",)),
            "unable to get local issuer certificate, but the recipient's domain demands trusted TLS (MTA-STS)",
        ),
    ],
)
async def test_server_with_another_certificate_is_not_spoken_to(door, tmp_path, demand, reason):
    async with open_door(door, tls=SERVER.serving(tmp_path)) as listener:
        with pytest.raises(TlsFailed, match="STARTTLS: the server's certificate") as failed:
            await visit(listener.port, server_name="mx.test", demand=demand)

    assert reason in str(failed.value)


@pytest.mark.parametrize(("name", "is_right"), [("mx.test", True), ("other.test", False)])
async def test_public_authority_must_vouch_for_the_name(door, tmp_path, name, is_right):
    async with open_door(door, tls=SERVER.serving(tmp_path)) as listener:
        visiting = visit(
            listener.port,
            server_name=name,
            demand=TlsDemand("MTA-STS", (name,)),
            tls_context=AUTHORITY.trusting(),
        )
        if is_right:
            await (await visiting).close()
        else:
            with pytest.raises(TlsFailed, match="Hostname mismatch"):
                await visiting


async def test_server_without_tls_is_not_spoken_to_where_tls_is_demanded(door):
    async with open_door(door) as listener:
        with pytest.raises(TlsFailed, match="not offered, but the recipient's domain demands TLS"):
            await visit(listener.port, server_name="mx.test", demand=TlsDemand("DANE"))


async def test_replies_injected_before_tls_are_forgotten(door, tmp_path):
    """A man in the middle adds a reply to that of STARTTLS: it must not be read as the answer to EHLO."""
    async with open_door(door, tls=server_tls(tmp_path)) as listener:

        async def tamper(reader, writer):
            upstream_reader, upstream_writer = await asyncio.open_connection(HOST, listener.port)

            async def down():
                while piece := await upstream_reader.read(65536):
                    if piece.startswith(b"220 2.0.0 Begin TLS"):
                        piece += b"250-evil.test\r\n250 AUTH PLAIN\r\n"
                    writer.write(piece)
                writer.close()

            pump = asyncio.create_task(down())
            while piece := await reader.read(65536):
                upstream_writer.write(piece)
            upstream_writer.close()
            await pump

        relay = await asyncio.start_server(tamper, HOST, 0)
        session = await visit(relay.sockets[0].getsockname()[1], server_name="mx.test")
        assert "AUTH" not in session.offers
        sent = await session.send("a@a.test", "b@b.test", MESSAGE)
        await session.close()
        relay.close()
        await asyncio.sleep(0.05)

    assert (sent.tls, sent.reply.code) == (True, 250)


@pytest.mark.parametrize("mechanism", ["PLAIN", "LOGIN"])
async def test_login(door, mechanism):
    async with open_door(door, auth=AuthPolicy.TLS_OR_LOOPBACK) as listener:
        session = await visit(listener.port)
        session.offers["AUTH"] = mechanism
        with pytest.raises(LoginRefused) as refused:
            await session.login("me", "wrong")
        await session.login("me", "right")
        await session.close()

    assert refused.value.reply is not None
    assert refused.value.reply.code == 535
    assert door.users == ["me"]


async def test_login_where_none_is_offered(door):
    async with open_door(door) as listener:
        session = await visit(listener.port)
        with pytest.raises(LoginRefused):
            await session.login("me", "right")
        await session.close()


# Servers that misbehave


@pytest.mark.parametrize(
    ("banner", "stage", "code"),
    [
        (b"554 5.7.1 go away\r\n", "banner", 554),
        (b"421-4.7.0 busy\r\n421 4.7.0 later\r\n", "banner", 421),
        (b"HTTP/1.1 200 OK\r\n", "banner", None),
        (b"", "banner", None),
    ],
)
async def test_unfriendly_banner(banner, stage, code):
    async with scripted(banner, (b"never", None)) as (port, _):
        with pytest.raises(ConnectFailed) as failed:
            await visit(port, timeouts=QUICK)

    assert failed.value.stage == stage
    assert (failed.value.reply.code if failed.value.reply else None) == code


async def test_nobody_listens():
    with pytest.raises(ConnectFailed):
        await visit(1)


async def test_server_without_ehlo_gets_helo_and_one_command_at_a_time():
    steps = [
        (b"EHLO me.test\r\n", b"502 what?\r\n"),
        (b"HELO me.test\r\n", b"250 mx.test\r\n"),
        (b"MAIL FROM:<a@a.test>\r\n", b"250 ok\r\n"),
        (b"RCPT TO:<b@b.test>\r\n", b"251 will forward\r\n"),
        (b"DATA\r\n", b"354 go\r\n"),
        (b"\r\n.\r\n", b"250-two\r\n250 lines\r\n"),
        (b"QUIT\r\n", b"221 bye\r\n"),
    ]
    async with scripted(BANNER, *steps) as (port, script):
        session = await visit(port)
        sent = await session.send("a@a.test", "b@b.test", MESSAGE)
        await session.close()

    assert sent == Sent(Reply(250, "two\nlines"), Step.END_OF_DATA, tls=False)
    assert script.lines == [line if line != b"\r\n.\r\n" else script.lines[5] for line, _ in steps]
    assert script.lines[5] == b"Subject: hi\r\n\r\n..dot\r\n...\r\n.\r\n"


@pytest.mark.parametrize(
    ("answers", "more", "sent", "reusable"),
    [
        # RCPT refused, DATA taken all the same: end the empty message, then RSET (RFC 2920 section 3.1)
        (
            b"250 ok\r\n550 5.1.1 gone\r\n354 go\r\n",
            [(b".\r\n", b"554 nobody\r\n"), (b"RSET\r\n", b"250 ok\r\n")],
            (550, Step.RCPT),
            True,
        ),
        (b"250 ok\r\n550 5.1.1 gone\r\n503 no\r\n", [(b"RSET\r\n", b"250 ok\r\n")], (550, Step.RCPT), True),
        (b"250 ok\r\n250 ok\r\n451 wait\r\n", [(b"RSET\r\n", b"250 ok\r\n")], (451, Step.DATA), True),
        (b"451 wait\r\n503 no\r\n503 no\r\n", [(b"RSET\r\n", b"250 ok\r\n")], (451, Step.MAIL), True),
        (b"250 ok\r\n421 bye\r\n", [], (421, Step.RCPT), False),
        (b"250 ok\r\n550 gone\r\n", [], (550, Step.RCPT), False),  # hangs up before the rest
        (b"250 ok\r\n550 gone\r\n503 no\r\n", [(b"RSET\r\n", b"500 what\r\n")], (550, Step.RCPT), False),
        (b"250 ok\r\n550 gone\r\n503 no\r\n", [(b"RSET\r\n", None)], (550, Step.RCPT), False),
    ],
)
async def test_refusals_when_pipelining(answers, more, sent, reusable):
    steps = [(b"EHLO me.test\r\n", ehlo("PIPELINING")), (b"DATA\r\n", answers), *more]
    if reusable:
        steps += [
            (b"DATA\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"),
            (b"\r\n.\r\n", b"250 done\r\n"),
            (b"QUIT\r\n", b"221 bye\r\n"),
        ]
    async with scripted(BANNER, *steps) as (port, script):
        session = await visit(port, timeouts=QUICK)
        result = await session.send("a@a.test", "b@b.test", MESSAGE)
        assert (result.reply.code, result.step) == sent
        assert session.reusable is reusable
        if reusable:
            again = await session.send("a@a.test", "c@b.test", MESSAGE)
            assert again.reply == Reply(250, "done")
        await session.close()

    assert script.lines[1] == b"MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n"


@pytest.mark.parametrize("answer", [None, b"", b"25", b"250-half\r\n", b"garbage\r\n", b"354 what?\r\n"])
async def test_lost_answer_to_the_whole_message_is_unknown(answer):
    steps = [(b"\r\n", ehlo("PIPELINING")), (b"DATA\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n"), (b"\r\n.\r\n", answer)]
    async with scripted(BANNER, *steps) as (port, _):
        session = await visit(port, timeouts=QUICK)
        with pytest.raises(ConnectionLost) as lost:
            await session.send("a@a.test", "b@b.test", MESSAGE)
        assert not session.reusable
        await session.close()

    assert (lost.value.stage, lost.value.during_data) == ("end of data", True)


@pytest.mark.parametrize(
    ("answers", "stage", "during_data"),
    [
        (b"", "MAIL", False),
        (b"250 ok\r\n", "RCPT", False),
        (b"250 ok\r\n250 ok\r\n", "DATA", False),
        (b"250 ok\r\n250 ok\r\n250 taken?\r\n", "DATA", False),  # an answer to DATA that must never count as delivery
        (b"354 go\r\n", "MAIL", False),
    ],
)
async def test_connection_lost_before_the_message_is_known_not_to_be_sent(answers, stage, during_data):
    async with scripted(BANNER, (b"\r\n", ehlo("PIPELINING")), (b"DATA\r\n", answers)) as (port, _):
        session = await visit(port, timeouts=QUICK)
        with pytest.raises(ConnectionLost) as lost:
            await session.send("a@a.test", "b@b.test", MESSAGE)
        await session.close()

    assert (lost.value.stage, lost.value.during_data) == (stage, during_data)


@pytest.mark.parametrize(
    ("answers", "outcome"),
    [
        (b"250 ok\r\n250 ok\r\n", ("end of data", True)),
        (b"250 ok\r\n", ("RCPT", True)),  # the chunk left in the same flight
        (b"250 ok\r\n550 gone\r\n", Step.RCPT),
    ],
)
async def test_connection_lost_with_the_chunk_under_way(answers, outcome):
    steps = [(b"\r\n", ehlo("PIPELINING", "CHUNKING")), (b"..\r\n", answers)]
    async with scripted(BANNER, *steps) as (port, script):
        session = await visit(port, timeouts=QUICK)
        if isinstance(outcome, Step):
            assert (await session.send("a@a.test", "b@b.test", MESSAGE)).step is outcome
        else:
            with pytest.raises(ConnectionLost) as lost:
                await session.send("a@a.test", "b@b.test", MESSAGE)
            assert (lost.value.stage, lost.value.during_data) == outcome
        await session.close()

    assert script.lines[1].endswith(b"BDAT %d LAST\r\n%b" % (len(MESSAGE), MESSAGE))


async def test_server_that_stops_reading_has_not_got_the_message():
    """The end of a message that never left us cannot have been taken."""
    huge = b"a" * 70 + b"\r\n"
    steps = [(b"\r\n", ehlo("PIPELINING")), (b"DATA\r\n", b"250 ok\r\n250 ok\r\n354 go\r\n")]
    stall = asyncio.Event()

    async def serve(reader, writer):
        writer.write(BANNER)
        for wanted, answer in steps:
            await reader.readuntil(wanted)
            writer.write(answer)
        await stall.wait()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0, limit=1024)
    session = await visit(server.sockets[0].getsockname()[1], timeouts=QUICK)
    with pytest.raises(ConnectionLost) as lost:
        await session.send("a@a.test", "b@b.test", huge * 500_000)
    stall.set()
    await session.close()
    server.close()
    await asyncio.sleep(0.05)

    assert (lost.value.stage, lost.value.during_data) == ("end of data", False)


@pytest.mark.parametrize("unasked", [b"421 4.4.2 idle too long\r\n", b"250", b""])
async def test_server_that_leaves_between_messages(unasked):
    async with scripted(BANNER, (b"EHLO me.test\r\n", ehlo() + unasked)) as (port, _):
        session = await visit(port)
        await asyncio.sleep(0.05)
        assert not session.reusable
        with pytest.raises(ConnectionLost) as lost:
            await session.send("a@a.test", "b@b.test", MESSAGE)
        await session.close()
        await session.close()

    assert not lost.value.during_data
    assert session.sent_count == 0


async def test_cancelled_send_leaves_the_session_unusable(door):
    door.may_finish.clear()
    async with open_door(door) as listener:
        session = await visit(listener.port)
        sending = asyncio.create_task(session.send("a@a.test", "b@b.test", MESSAGE))
        await door.has_begun.wait()
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending
        assert not session.reusable
        await session.close()
        door.may_finish.set()


async def test_slow_reader_gets_the_time_each_block_needs(door):
    """The end of data waits as long as bytes still move, and only then counts down."""
    limits = Limits(message_size=100_000_000)
    async with open_door(door, limits=limits) as listener:
        session = await visit(listener.port, timeouts=dataclasses.replace(QUICK, end_of_data=20, mail=20, rcpt=20))
        sent = await session.send("a@a.test", "b@b.test", b"a" * 30_000_000)
        await session.close()

    assert sent.reply.code == 250
