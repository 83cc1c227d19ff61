"""The mail sink, spoken to over real SMTP."""

import asyncio

import pytest

from mailpush.mail import client, returned
from mailpush.mail.replies import Reply
from mailpush.mail.server import listen
from mailpush.sandbox.reports import Postman, Taken, answer_to, failure_report
from mailpush.sandbox.sink import OK, TAKEN, Sink, subject_of

MAIL = (
    b"From: a@x.example\r\nSubject: =?utf-8?q?Gr=C3=BC=C3=9Fe?=\r\nMessage-ID: <1@x.example>\r\n\r\nHello\r\n.dot\r\n"
)


async def send(port, recipient, *, mail_from="a@x.example", content=MAIL):
    session = await client.connect("127.0.0.1", port, helo="client.test")
    try:
        return await session.send(mail_from, recipient, content)
    finally:
        await session.close()


async def test_what_is_accepted_is_kept(sink_port, recorder, world):
    sent = await send(sink_port, "Jane@y.example")
    recorder.close()

    (kept,) = world.mails()
    assert (sent.reply.code, sent.tls) == (250, True)
    assert (kept.mail_from, kept.rcpt_to, kept.subject, kept.is_encrypted, kept.client_ip) == (
        "a@x.example",
        "Jane@y.example",
        "Grüße",
        True,
        "127.0.0.1",
    )
    assert world.mail(kept.id).raw == MAIL


@pytest.mark.parametrize(
    ("recipient", "code", "status", "step"),
    [
        ("bounce@y.example", 550, "5.1.1", client.Step.RCPT),
        ("Bounce-17@y.example", 550, "5.1.1", client.Step.RCPT),
        ("bounce-5.2.1@y.example", 550, "5.2.1", client.Step.RCPT),
        ("bounce-4.3.1@y.example", 450, "4.3.1", client.Step.RCPT),
        ("full@y.example", 452, "4.2.2", client.Step.RCPT),
        ("defer@y.example", 451, "4.7.1", client.Step.RCPT),
        ("spam@y.example", 554, "5.7.1", client.Step.END_OF_DATA),
    ],
)
async def test_the_local_part_tells_what_is_refused(sink_port, recorder, world, recipient, code, status, step):
    sent = await send(sink_port, recipient)
    recorder.close()

    assert (sent.reply.code, sent.reply.enhanced_code, sent.step) == (code, status, step)
    assert world.mails() == []


async def test_greylisting_ends_after_twenty_seconds(sink_port, clock):
    codes = []
    for seconds in (0, 10, 11):
        clock.now += seconds
        codes.append((await send(sink_port, "defer-7@y.example")).reply.code)

    assert codes == [451, 451, 250]


async def test_dropped_once_and_then_accepted(sink_port, clock):
    with pytest.raises(client.ConnectionLost):
        await send(sink_port, "drop@y.example")
    clock.now += 1

    assert (await send(sink_port, "drop@y.example")).reply.code == 250


class MxDoor:
    """Stands for the platform's mx door."""

    def __init__(self):
        self.came = asyncio.get_running_loop().create_future()

    async def connected(self, session):
        return None

    async def mail(self, session, mail_from, params):
        return OK

    async def rcpt(self, session, rcpt_to, params):
        return OK

    async def data(self, session, content):
        envelope = session.envelope
        self.came.set_result((envelope.mail_from, envelope.rcpts[0].address, content))
        return TAKEN

    async def closed(self, session):
        pass


@pytest.mark.parametrize(
    ("recipient", "came_from", "came_to", "words"),
    [
        ("late@y.example", "", "b-x@x.example", b"Diagnostic-Code: smtp; 550 5.1.1"),
        ("late-5.2.2@y.example", "", "b-x@x.example", b"Status: 5.2.2"),
        ("complain@y.example", "feedback@sink.test", "fbl@x.example", b"Feedback-Type: abuse"),
        ("away@y.example", "", "b-x@x.example", b"Auto-Submitted: auto-replied"),
    ],
)
async def test_answers_come_back_by_mail(recorder, monkeypatch, recipient, came_from, came_to, words):
    monkeypatch.setattr("mailpush.sandbox.reports.SENT_AFTER", 0)
    mx = MxDoor()
    platform = await listen(mx, "127.0.0.1", 0, hostname="mx01.test")
    sink = Sink(recorder.keep, Postman("127.0.0.1", platform.port, "sink.test"))
    listener = await listen(sink, "127.0.0.1", 0, hostname="sink.test")

    sent = await send(listener.port, recipient, mail_from="b-x@x.example")
    mail_from, rcpt_to, content = await asyncio.wait_for(mx.came, 10)
    await listener.close()
    await sink.close()
    await platform.close()

    assert sent.reply.code == 250
    assert (mail_from, rcpt_to) == (came_from, came_to)
    assert words in content


@pytest.mark.parametrize(
    ("recipient", "kind"),
    [("late@y.example", "bounce"), ("complain@y.example", "complaint"), ("away@y.example", "auto_reply")],
)
def test_answers_are_what_they_play(recipient, kind):
    taken = Taken("b-x@x.example", recipient, "", MAIL)

    _, _, mail = answer_to(taken, reporter="sink.test")

    assert returned.read(mail).kind == kind


def test_failure_report_is_a_report():
    from email import message_from_bytes

    taken = Taken("b@x.example", "late@y.example", "env-1", MAIL)
    report = message_from_bytes(failure_report(taken, reporter="sink.test"))

    assert report.get_content_type() == "multipart/report"
    assert [part.get_content_type() for part in report.get_payload()] == [
        "text/plain",
        "message/delivery-status",
        "text/rfc822-headers",
    ]
    status = report.get_payload()[1].get_payload()
    assert (status[0]["Original-Envelope-Id"], status[1]["Action"], status[1]["Status"]) == ("env-1", "failed", "5.1.1")
    assert "Message-ID: <1@x.example>" in report.get_payload()[2].get_payload()


@pytest.mark.parametrize(
    ("head", "subject"),
    [
        (b"Subject: Plain", "Plain"),
        (b"subject:  two\r\n lines", "two lines"),
        (b"X: 1\r\nSubject: =?utf-8?b?5L2g5aW9?=", "你好"),
        (b"Subject: =?nonsense?q?x?=", "=?nonsense?q?x?="),
        (b"X: 1", ""),
    ],
)
def test_subjects_are_read_as_people_read_them(head, subject):
    assert subject_of(head + b"\r\n\r\nSubject: not this\r\n") == subject


def test_replies_say_their_code():
    assert Reply(250, "2.0.0 Accepted") == TAKEN
