import asyncio
import base64
import contextlib
import smtplib

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mailpush.mail.client import TlsPolicy, connect
from mailpush.mail.envelope import Recipient
from mailpush.mail.replies import Reply
from mailpush.mail.server import AuthPolicy, Limits, Session, listen
from tests.mailpush.mail.smtp_kit import HOST, Mailroom, client_tls, codes, open_door, raw, server_tls

EHLO = b"EHLO me.test\r\n"
ENVELOPE = b"MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\n"
MESSAGE = b"Subject: hi\r\n\r\nHello.\r\n"
QUIT = b"QUIT\r\n"


@pytest.fixture
def door():
    return Mailroom()


async def test_pipelined_message_is_taken(door):
    async with open_door(door) as listener:
        answers = await raw(listener.port, EHLO + ENVELOPE + b"DATA\r\n" + MESSAGE + b".\r\n" + QUIT)

    assert codes(answers) == [220, 250, 250, 250, 354, 250, 221]
    envelope, content = door.taken[0]
    assert (envelope.mail_from, envelope.rcpts, content) == ("a@a.test", [Recipient("b@b.test", {})], MESSAGE)
    assert (door.visits, door.farewells) == (1, 1)


async def test_bytes_one_by_one_are_taken_too(door):
    talk = EHLO + ENVELOPE + b"DATA\r\nSubject: x\r\n\r\n..\r\n.\r\n" + QUIT
    async with open_door(door) as listener:
        answers = await raw(listener.port, *(talk[i : i + 1] for i in range(len(talk))), pause=0)

    assert codes(answers) == [220, 250, 250, 250, 354, 250, 221]
    assert door.taken[0][1] == b"Subject: x\r\n\r\n.\r\n"


async def test_ehlo_offers(door, tmp_path):
    async with open_door(door, tls=server_tls(tmp_path), auth=AuthPolicy.TLS) as listener:
        answers = await raw(listener.port, EHLO)

    offers = {line[4:].decode() for line in answers.split(b"\r\n")[2:] if line}
    assert offers == {
        "PIPELINING",
        "SIZE 15728640",
        "8BITMIME",
        "SMTPUTF8",
        "ENHANCEDSTATUSCODES",
        "CHUNKING",
        "DSN",
        "STARTTLS",
    }


# Each body is sent between "DATA" and the true end CRLF.CRLF, and carries a second message some server might see.
SECOND = b"MAIL FROM:<evil@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\nsmuggled\r\n"


@pytest.mark.parametrize(
    "false_end",
    [
        b"\n.\n",
        b"\r\n.\n",
        b"\n.\r\n",
        b"\r.\r",
        b"\r.\r\n",
        b"\r\n.\r",
        b"\n.\r",
        b"\r.\n",
        b"\r\r\n.\r\n"[:4],
        b"\n\n.\n\n",
        b"\r\n\x00.\r\n\n",
        b"\r",
        b"\n",
        b"\r\n.\r\r\n",
    ],
)
async def test_false_end_of_data_neither_ends_nor_passes(door, false_end):
    talk = EHLO + ENVELOPE + b"DATA\r\nfirst" + false_end + SECOND + b".\r\n" + QUIT
    async with open_door(door) as listener:
        answers = await raw(listener.port, talk)

    assert codes(answers) == [220, 250, 250, 250, 354, 550, 221]
    assert b"5.6.0" in answers
    assert door.taken == []


@pytest.mark.parametrize("body", [b"a\nb\r\n", b"a\rb\r\n", b"\n", b"a\r\n\r"])
async def test_bare_line_ends_in_chunks_are_refused(door, body):
    async with open_door(door) as listener:
        answers = await raw(listener.port, EHLO + ENVELOPE + b"BDAT %d LAST\r\n" % len(body) + body + QUIT)

    assert codes(answers) == [220, 250, 250, 250, 550, 221]
    assert door.taken == []


async def test_empty_message(door):
    async with open_door(door) as listener:
        answers = await raw(listener.port, EHLO + ENVELOPE + b"DATA\r\n.\r\n" + QUIT)

    assert codes(answers) == [220, 250, 250, 250, 354, 250, 221]
    assert door.taken[0][1] == b""


async def test_chunks_are_joined_and_dots_left_alone(door):
    chunks = b"BDAT 5\r\nab\r\n.BDAT 4\r\n\r\n.\rBDAT 0\r\nBDAT 1 LAST\r\n\n"
    async with open_door(door) as listener:
        answers = await raw(listener.port, EHLO + ENVELOPE + chunks + QUIT)

    assert codes(answers) == [220, 250, 250, 250, 250, 250, 250, 250, 221]
    assert door.taken[0][1] == b"ab\r\n.\r\n.\r\n"


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        # Chunks are swallowed even when refused: their bytes must not become commands.
        (b"BDAT 6 LAST\r\nQUIT\r\n" + QUIT, [503, 221]),
        (b"MAIL FROM:<a@a.test>\r\nBDAT 6 LAST\r\nQUIT\r\n" + QUIT, [250, 554, 221]),
        (
            ENVELOPE + b"BDAT 2\r\na\nDATA\r\nRCPT TO:<c@c.test>\r\nRSET\r\nDATA\r\n" + QUIT,
            [250, 250, 250, 503, 503, 250, 503, 221],
        ),
        (ENVELOPE + b"BDAT x LAST\r\nQUIT\r\n", [250, 250, 501]),
        (b"MAIL FROM:<gone@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n" + QUIT, [550, 503, 503, 221]),
        (b"MAIL FROM:<a@a.test>\r\nRCPT TO:<gone@b.test>\r\nDATA\r\n" + QUIT, [250, 550, 554, 221]),
        (b"MAIL FROM:<bye@a.test>\r\nNOOP\r\n", [421]),
        (b"MAIL FROM:<a@a.test>\r\nMAIL FROM:<b@a.test>\r\nRSET\r\n" + QUIT, [250, 503, 250, 221]),
        (b"NOOP\r\nVRFY you\r\nEXPN all\r\nHELP\r\nTURN\r\n" + QUIT, [250, 252, 502, 214, 500, 221]),
        (b"MAIL FROM:<\xc3\xa4@a.test>\r\nMAIL FROM:<\xc3\xa4@a.test> SMTPUTF8\r\n" + QUIT, [553, 250, 221]),
        (b"MAIL FROM:<a@a.test> SIZE=99999999\r\n" + QUIT, [552, 221]),
        (b"MAIL FROM:<a@a.test> FOO=1\r\nMAIL FROM:<a@a.test> BODY=BINARYMIME\r\n" + QUIT, [555, 501, 221]),
        (b"NO\x00OP\r\nNOOP\nNO\rOP\r\n\xff\r\n" + QUIT, [500, 500, 500, 500, 221]),
        (b"STARTTLS\r\nAUTH PLAIN AGEAYg==\r\n" + QUIT, [503, 502, 221]),
        (b"HELO\r\nEHLO a b\r\nHELO me.test\r\n" + QUIT, [501, 501, 250, 221]),
    ],
)
async def test_answers(door, talk, expected):
    async with open_door(door) as listener:
        answers = await raw(listener.port, EHLO + talk)

    assert codes(answers) == [220, 250, *expected]
    assert door.taken == []


async def test_dsn_and_body_parameters_are_handed_on(door):
    mail = b"MAIL FROM:<> RET=HDRS ENVID=a+2Bb SIZE=10 BODY=8BITMIME\r\n"
    rcpt = b"RCPT TO:<b@b.test> NOTIFY=SUCCESS,FAILURE ORCPT=rfc822;b@b.test\r\n"
    async with open_door(door) as listener:
        await raw(listener.port, EHLO + mail + rcpt + b"DATA\r\n.\r\n" + QUIT)

    envelope = door.taken[0][0]
    assert (envelope.mail_from, envelope.params) == (
        "",
        {"RET": "HDRS", "ENVID": "a+2Bb", "SIZE": "10", "BODY": "8BITMIME"},
    )
    assert envelope.rcpts == [Recipient("b@b.test", {"NOTIFY": "SUCCESS,FAILURE", "ORCPT": "rfc822;b@b.test"})]


@pytest.mark.parametrize(
    ("limits", "talk", "expected"),
    [
        (Limits(recipients=1), ENVELOPE + b"RCPT TO:<c@c.test>\r\nDATA\r\n.\r\n", [250, 250, 452, 354, 250]),
        (Limits(message_size=10), ENVELOPE + b"DATA\r\n" + b"a" * 99 + b"\r\n.\r\nNOOP\r\n", [250, 250, 354, 552, 250]),
        (Limits(message_size=10), ENVELOPE + b"DATA\r\n123456789\r\n.\r\nNOOP\r\n", [250, 250, 354, 552, 250]),
        (Limits(message_size=11), ENVELOPE + b"DATA\r\n123456789\r\n.\r\nNOOP\r\n", [250, 250, 354, 250, 250]),
        (Limits(message_size=10), ENVELOPE + b"BDAT 99 LAST\r\n" + b"a" * 99 + b"NOOP\r\n", [250, 250, 552, 250]),
        (Limits(), b"NOOP " + b"a" * 600 + b"\r\nNOOP\r\n", [500, 250]),
        (Limits(), b"MAIL FROM:<" + b"a" * 3000 + b"@a.test>\r\nNOOP\r\n", [500, 250]),
        (Limits(), b"a" * 70_000 + b"\r\nNOOP\r\n", [500, 250]),
        (Limits(errors=3), b"FOO\r\n" * 9, [500, 500, 500, 421]),
        (Limits(junk=3, errors=2), b"NOOP\r\n" * 9, [250, 250, 250, 250, 421]),
        (Limits(idle_seconds=0.05), b"NOO", [421]),
    ],
)
async def test_limits(door, limits, talk, expected):
    async with open_door(door, limits=limits) as listener:
        answers = (
            await raw(listener.port, EHLO + talk) if limits.idle_seconds > 1 else await _linger(listener.port, talk)
        )

    assert codes(answers)[2:] == expected


async def _linger(port, talk):
    """Send and keep our half open, so that only the server can end it."""
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(EHLO + talk)
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("talk", [b"DATA\r\nhalf", b"BDAT 99 LAST\r\nhalf"])
async def test_message_that_stops_in_the_middle_times_out(door, talk):
    async with open_door(door, limits=Limits(block_seconds=0.05)) as listener:
        answers = await _linger(listener.port, ENVELOPE + talk)

    assert codes(answers)[-1] == 421
    assert door.taken == []


async def test_too_many_connections(door):
    async with open_door(door, limits=Limits(connections_per_ip=1)) as listener:
        session = await connect(HOST, listener.port, helo="me.test")
        answers = await raw(listener.port)
        await session.close()
        again = await raw(listener.port, QUIT)

    assert codes(answers) == [421]
    assert codes(again) == [220, 221]


async def test_banner_may_show_visitors_out(door):
    door.banner = Reply(554, "5.7.1 Not you")
    async with open_door(door) as listener:
        assert codes(await raw(listener.port)) == [554]


async def test_door_that_fails_refuses_for_now(door, caplog):
    async with open_door(door) as listener:
        answers = await raw(listener.port, EHLO + ENVELOPE + b"DATA\r\nX-Fail: yes\r\n.\r\n" + QUIT)

    assert codes(answers)[-1] == 421
    assert "a bug" in caplog.text


async def test_commands_sent_before_tls_are_not_obeyed_after_it(door, tmp_path):
    async with open_door(door, tls=server_tls(tmp_path)) as listener:
        answers = await raw(listener.port, EHLO + b"STARTTLS\r\n" + EHLO + ENVELOPE)

    assert codes(answers) == [220, 250, 421]


async def test_failed_handshake_closes(door, tmp_path):
    async with open_door(door, tls=server_tls(tmp_path)) as listener:
        answers = await raw(listener.port, EHLO, b"STARTTLS\r\n", b"this is no TLS\r\n")

    assert answers.split(b"\r\n", 1)[0].startswith(b"220")
    assert (door.visits, door.farewells) == (1, 1)


def _with_smtplib(port, folder, talk):
    """Run `talk` with a foreign client, in STARTTLS where a folder with the certificate is given."""
    with smtplib.SMTP(HOST, port, local_hostname="me.test", timeout=10) as client:
        if folder:
            client._host = "mx.test"
            client.starttls(context=client_tls(folder))
        return talk(client)


@pytest.mark.parametrize("mechanism", ["auth_plain", "auth_login"])
async def test_foreign_client_logs_in_over_tls_and_stays_so_after_ehlo(door, tmp_path, mechanism):
    def talk(client):
        client.ehlo()
        client.user, client.password = "shop@a.test", "right"
        client.auth(mechanism.removeprefix("auth_").upper(), getattr(client, mechanism))
        client.ehlo()
        client.sendmail("a@a.test", ["b@b.test", "c@c.test"], "Subject: x\r\n\r\n.dot\r\n")
        return client.docmd("AUTH", "PLAIN =")[0]

    async with open_door(door, tls=server_tls(tmp_path), auth=AuthPolicy.TLS) as listener:
        second_login = await asyncio.to_thread(_with_smtplib, listener.port, tmp_path, talk)

    assert (door.users, second_login) == (["shop@a.test"], 503)
    envelope, content = door.taken[0]
    assert [rcpt.address for rcpt in envelope.rcpts] == ["b@b.test", "c@c.test"]
    assert content == b"Subject: x\r\n\r\n.dot\r\n"


async def test_wrong_password(door):
    def talk(client):
        with pytest.raises(smtplib.SMTPAuthenticationError) as refused:
            client.login("shop@a.test", "wrong")
        return refused.value.smtp_code

    async with open_door(door, auth=AuthPolicy.TLS_OR_LOOPBACK) as listener:
        assert await asyncio.to_thread(_with_smtplib, listener.port, None, talk) == 535


async def test_passwords_are_not_taken_in_the_open(door, tmp_path):
    async with open_door(door, tls=server_tls(tmp_path), auth=AuthPolicy.TLS) as listener:
        answers = await raw(listener.port, EHLO + b"AUTH PLAIN AGEAYg==\r\n" + QUIT)

    assert codes(answers) == [220, 250, 538, 221]
    assert door.users == []


def _b64(octets):
    return base64.b64encode(octets)


@pytest.mark.parametrize(
    ("talk", "expected"),
    [
        (b"AUTH PLAIN " + _b64(b"\0u\0right") + b"\r\n", [235]),
        (b"AUTH PLAIN " + _b64(b"u\0u\0right") + b"\r\n", [235]),
        (b"AUTH PLAIN " + _b64(b"boss\0u\0right") + b"\r\n", [535]),
        (b"AUTH PLAIN " + _b64(b"\0u\0") + b"\r\n", [535]),
        (b"AUTH PLAIN " + _b64(b"u\0right") + b"\r\n", [501]),
        (b"AUTH PLAIN !!!\r\n", [501]),
        (b"AUTH PLAIN\r\n*\r\n", [334, 501]),
        (b"AUTH PLAIN\r\n" + _b64(b"\0u\0right") + b"\r\n", [334, 235]),
        (b"AUTH LOGIN " + _b64(b"u") + b"\r\n" + _b64(b"right") + b"\r\n", [334, 235]),
        (b"AUTH CRAM-MD5\r\n", [504]),
        (b"AUTH PLAIN " + _b64(b"\0u\0" + b"x" * 4000) + b"\r\n", [535]),
        (b"AUTH PLAIN " + b"a" * 20_000 + b"\r\n", [500]),
        (b"MAIL FROM:<a@a.test>\r\nAUTH PLAIN =\r\n", [250, 503]),
    ],
)
async def test_auth_exchanges(door, talk, expected):
    async with open_door(door, auth=AuthPolicy.TLS_OR_LOOPBACK) as listener:
        answers = await raw(listener.port, EHLO + talk)

    assert codes(answers)[2:] == expected


async def test_implicit_tls(door, tmp_path):
    async with open_door(door, tls=server_tls(tmp_path), implicit_tls=True) as listener:
        session = await connect(
            HOST,
            listener.port,
            helo="me.test",
            tls=TlsPolicy.IMPLICIT,
            server_name="mx.test",
            tls_context=client_tls(tmp_path),
        )
        assert "STARTTLS" not in session.offers
        sent = await session.send("a@a.test", "b@b.test", MESSAGE)
        await session.close()

    assert (sent.tls, sent.reply.code) == (True, 250)


async def test_closing_sends_the_idle_away_and_finishes_messages(door):
    door.may_finish.clear()
    async with open_door(door) as listener:
        idle_reader, idle_writer = await asyncio.open_connection(HOST, listener.port)
        await idle_reader.readline()
        session = await connect(HOST, listener.port, helo="me.test")
        sending = asyncio.create_task(session.send("a@a.test", "b@b.test", MESSAGE))
        await door.has_begun.wait()

        closing = asyncio.create_task(listener.close())
        farewell = await idle_reader.read()
        assert not closing.done()
        door.may_finish.set()
        sent = await sending
        await closing

        idle_writer.close()
        await session.close()

    assert farewell.startswith(b"421 4.3.2")
    assert sent.reply.code == 250
    assert not session.reusable


async def test_client_that_never_reads_does_not_fill_memory(door):
    # Each HELP answers with more bytes than it takes; nobody reads them.
    async with open_door(door, limits=Limits(junk=10**9, idle_seconds=0.3)) as listener:
        reader, writer = await asyncio.open_connection(HOST, listener.port, limit=1024)
        with contextlib.suppress(ConnectionError, TimeoutError):
            async with asyncio.timeout(10):
                while listener.connections:
                    writer.write(b"HELP\r\n" * 10_000)
                    await asyncio.sleep(0)
                    if writer.transport.get_write_buffer_size() > 65_536:
                        await asyncio.sleep(0.05)
        assert listener.connections == 0
        writer.transport.abort()
        del reader


PIECES = st.binary(max_size=60) | st.sampled_from(
    [
        EHLO,
        ENVELOPE,
        b"DATA\r\n",
        b".\r\n",
        b"RSET\r\n",
        b"BDAT 3 LAST\r\n",
        b"AUTH PLAIN\r\n",
        b"AUTH LOGIN\r\n",
        b"\r\n",
        *(b"MAIL FROM:", b"<a@a.test>", b" SIZE=1", b"\n", b"STARTTLS\r\n", b"QUIT\r\n", b"HELO x\r\n", b"BDAT "),
    ]
)


@given(st.lists(PIECES, max_size=12))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_is_sent_is_answered_or_ends(caplog, pieces):
    async def talk():
        door = Mailroom()
        async with open_door(door, auth=AuthPolicy.TLS_OR_LOOPBACK) as listener:
            answers = await raw(listener.port, b"".join(pieces))
            assert codes(answers)[:1] == [220]
            # A chunk that never comes, and nothing else, leaves a whole line without its answer.
            has_line = b"\n" in b"".join(pieces) and b"BDAT" not in b"".join(pieces).upper()
            assert len(codes(answers)) >= 1 + has_line
        assert door.visits == door.farewells == 1

    caplog.clear()
    asyncio.run(talk())
    assert caplog.records == []


BODIES = st.lists(
    st.sampled_from([b".", b"..", b"", b"\xc3\xa9", b". .", b"\0"])
    | st.binary(max_size=30).map(lambda b: b.translate(None, b"\r\n"))
).map(lambda lines: b"".join(line + b"\r\n" for line in lines))


@given(st.lists(BODIES, min_size=1, max_size=4), st.booleans())
@settings(max_examples=60, deadline=None)
def test_bodies_arrive_as_they_were_sent(bodies, chunking):
    async def carry():
        door = Mailroom()
        async with open_door(door) as listener:
            session = await connect(HOST, listener.port, helo="me.test")
            if not chunking:
                del session.offers["CHUNKING"]
            for body in bodies:
                await session.send("a@a.test", "b@b.test", body)
            await session.close()
        return [content for _, content in door.taken]

    assert asyncio.run(carry()) == [body or b"\r\n" for body in bodies if b"X-" not in body]


async def test_visitor_may_expect_other_codes(door):
    class Old(Mailroom):
        async def auth(self, session, user, password):
            session.codes = {"552 5.3.4": 557, "550 5.1.1": 559}

    async with open_door(Old(), auth=AuthPolicy.ANYWHERE, limits=Limits(message_size=10)) as listener:
        login = b"AUTH PLAIN " + _b64(b"\0u\0right") + b"\r\n"
        gone = (
            b"MAIL FROM:<a@a.test>\r\nRCPT TO:<gone@b.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n"
            + b"a" * 99
            + b"\r\n.\r\n"
        )
        answers = await raw(listener.port, EHLO + login + gone + QUIT)

    assert codes(answers) == [220, 250, 235, 250, 559, 250, 354, 557, 221]
    assert b"559 5.1.1 No such user" in answers


def test_one_ipv6_customer_is_one_client():
    assert Session("2001:db8:1:2:3::4").network == Session("2001:db8:1:2::9").network == "2001:db8:1:2::/64"
    assert Session("192.0.2.1").network == "192.0.2.1"


async def test_several_processes_may_listen_on_one_port():
    one = await listen(Mailroom(), HOST, 0, hostname="mx.test", reuse_port=True)
    other = await listen(Mailroom(), HOST, one.port, hostname="mx.test", reuse_port=True)
    ports = one.port, other.port
    for listener in (one, other):
        await listener.close(grace=1)

    assert ports[0] == ports[1]
