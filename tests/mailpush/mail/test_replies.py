import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail.replies import Failure, Reply, Verdict, address_is_dead, classify
from mailpush.mail.reply_reader import MAX_LINE, MAX_LINES, ReplyBroken, ReplyReader

# reply, why, whether the address is dead. Wordings as the providers publish or send them.
REPLIES = [
    # QQ
    (550, "Mailbox not found. http://service.mail.qq.com/cgi-bin/help?no=1000728", Failure.NO_MAILBOX, True),
    (550, "Mailbox unavailable or access denied [MAtk1 IP: 192.0.2.1]", Failure.RATE, False),
    (550, "Ip frequency limited. http://service.mail.qq.com/cgi-bin/help?no=1000725", Failure.RATE, False),
    (550, "Sender frequency limited.", Failure.RATE, False),
    (550, "Domain frequency limited", Failure.RATE, False),
    (550, "Mail content denied. http://service.mail.qq.com/cgi-bin/help?no=1000726", Failure.CONTENT, False),
    (550, "Suspected spam sender.", Failure.POLICY, False),
    (550, "Mail is rejected by recipients", Failure.POLICY, False),
    (550, "DMARC check failed", Failure.POLICY, False),
    # 163/126
    (550, "User not found: nobody@163.com", Failure.NO_MAILBOX, True),
    (550, "User suspended", Failure.MAILBOX_FULL, False),
    (421, "HL:ICC 163 mx1,192.0.2.1 Too many connections", Failure.RATE, False),
    (451, "MI:SFQ 163 smtp1,please try again later", Failure.RATE, False),
    (550, "RP:ORQ 163 mx2 recipient frequency", Failure.RATE, False),
    (554, "HL:ITC 163 mx9", Failure.RATE, False),
    (554, "DT:SPM 163 mx4 http://mail.163.com/help/help_spam_16.htm?ip=192.0.2.1", Failure.POLICY, False),
    (451, "DT:SPM ,please try again", Failure.POLICY, False),
    (553, "MI:SPF 163 http://mail.163.com/help/help_spam_16.htm", Failure.POLICY, False),
    (552, "Illegal Attachment", Failure.CONTENT, False),
    # Sina, Aliyun
    (550, "#5.1.1 Address rejected. User does not exist", Failure.NO_MAILBOX, True),
    (554, "Reject by content spam at Sina", Failure.POLICY, False),
    (553, "user not exist", Failure.NO_MAILBOX, True),
    (552, "Quota exceeded or service disabled.", Failure.MAILBOX_FULL, False),
    # Gmail
    (
        550,
        (
            "5.1.1 The email account that you tried to reach does not exist. Please try\n"
            "5.1.1 double-checking the recipient's email address for typos or unnecessary spaces."
        ),
        Failure.NO_MAILBOX,
        True,
    ),
    (550, "5.2.1 The email account that you tried to reach is inactive.", Failure.MAILBOX_FULL, True),
    (
        550,
        (
            "5.2.1 The user you are trying to contact is receiving mail at a rate that\n"
            "5.2.1 prevents additional messages from being delivered."
        ),
        Failure.RATE,
        False,
    ),
    (452, "4.2.2 The recipient's inbox is out of storage space.", Failure.MAILBOX_FULL, False),
    (552, "5.2.2 The recipient's inbox is out of storage space.", Failure.MAILBOX_FULL, False),
    (421, "4.7.28 Our system has detected an unusual rate of unsolicited mail", Failure.RATE, False),
    (550, "5.7.26 This mail has been blocked because the sender is unauthenticated.", Failure.POLICY, False),
    (552, "5.3.4 Your message exceeded Google's message size limits.", Failure.CONTENT, False),
    # Yahoo
    (554, "delivery error: dd This user doesn't have a yahoo.com account (x@yahoo.com)", Failure.NO_MAILBOX, True),
    (421, "4.7.0 [TSS04] Messages from 192.0.2.1 temporarily deferred due to user complaints", Failure.RATE, False),
    (553, "5.7.1 [BL21] Connections will not be accepted from 192.0.2.1", Failure.POLICY, False),
    # Outlook, Exchange
    (550, "5.5.0 Requested action not taken: mailbox unavailable (S2017062302).", Failure.NO_MAILBOX, False),
    (550, "5.7.1 Unfortunately, messages from [192.0.2.1] weren't sent (S3140).", Failure.POLICY, False),
    (451, "4.7.650 The mail server [192.0.2.1] has been temporarily rate limited", Failure.RATE, False),
    (550, "5.1.10 RESOLVER.ADR.RecipientNotFound; Recipient not found by SMTP address", Failure.NO_MAILBOX, True),
    (550, "5.4.1 Recipient address rejected: Access denied. AS(201806281)", Failure.POLICY, False),
    # Postfix and others
    (550, "5.1.1 <x@a.example>: Recipient address rejected: User unknown in virtual table", Failure.NO_MAILBOX, True),
    (550, "5.1.1 <spam-blocked@a.example>: User unknown", Failure.NO_MAILBOX, True),
    (550, "5.1.1 blocked using zen.spamhaus.org", Failure.POLICY, False),
    (550, "5.7.1 <x@a.example>: Recipient address rejected: User unknown", Failure.POLICY, False),
    (450, "4.1.1 <x@a.example>: User unknown", Failure.NO_MAILBOX, False),
    (550, "No such user here", Failure.NO_MAILBOX, True),
    (554, "No such user here", Failure.NO_MAILBOX, False),
    (550, "Requested action not taken: mailbox unavailable", Failure.UNKNOWN, False),
    (550, "5.1.2 Host unknown", Failure.INFRASTRUCTURE, False),
    (451, "4.7.1 Greylisted, please come back in five minutes", Failure.TRANSIENT, False),
    (554, "5.4.6 Too many hops", Failure.INFRASTRUCTURE, False),
    (554, "5.7.1 Relay access denied", Failure.POLICY, False),
    (554, "Transaction failed", Failure.UNKNOWN, False),
    (451, "Try again", Failure.TRANSIENT, False),
    (550, "", Failure.UNKNOWN, False),
]


@pytest.mark.parametrize(("code", "text", "failure", "is_dead"), REPLIES)
def test_failure_and_death_of_known_wordings(code, text, failure, is_dead):
    reply = Reply(code, text)

    assert (classify(reply), address_is_dead(reply)) == (failure, is_dead)


@pytest.mark.parametrize("text", ["a" * 500_000, f"<{'@' * 500_000}", f"<{'a' * 500_000}"])
def test_each_word_is_read_once(text):
    """Read again from each of its letters, one of these takes minutes."""
    assert classify(Reply(550, text)) is Failure.UNKNOWN


@pytest.mark.parametrize(
    ("code", "verdict"),
    [(250, Verdict.ACCEPTED), (354, Verdict.TRY_LATER), (451, Verdict.TRY_LATER), (550, Verdict.REFUSED)],
)
def test_verdict_is_the_first_digit(code, verdict):
    assert Reply(code, "").verdict is verdict


@pytest.mark.parametrize(
    ("text", "enhanced"),
    [("5.1.1 gone", "5.1.1"), ("4.7.650", "4.7.650"), ("gone 5.1.1", ""), ("5.1.1234", ""), ("", "")],
)
def test_enhanced_code_stands_at_the_start(text, enhanced):
    assert Reply(550, text).enhanced_code == enhanced


@pytest.mark.parametrize(
    ("code", "text", "slow"),
    [
        (421, "Service not available", True),
        (451, "4.7.0 Try again later", True),
        (550, "Connection frequency limited", True),
        (452, "Too many recipients", True),
        (451, "4.7.1 Greylisting in action", False),
        (550, "5.1.1 User unknown", False),
        (250, "2.0.0 OK", False),
    ],
)
def test_slow_down(code, text, slow):
    assert Reply(code, text).slow_down is slow


@pytest.mark.parametrize(
    ("reply", "octets"),
    [
        (Reply(250, "2.0.0 OK"), b"250 2.0.0 OK\r\n"),
        (Reply(550, "5.1.1 No\nsuch user"), b"550-5.1.1 No\r\n550 5.1.1 such user\r\n"),
        (Reply(250, "mx\nSIZE 1"), b"250-mx\r\n250 SIZE 1\r\n"),
        (Reply(550, "5.1.1 a\r\n250 b"), b"550-5.1.1 a?\r\n550 5.1.1 250 b\r\n"),
        (Reply(550, "a\rb\0"), b"550 a?b?\r\n"),
    ],
)
def test_encoded_reply_cannot_hold_another_one(reply, octets):
    assert reply.encode() == octets


@pytest.mark.parametrize(
    ("octets", "replies"),
    [
        (b"250 OK\r\n", [Reply(250, "OK")]),
        (b"250\r\n", [Reply(250, "")]),
        (b"250 OK\n354 Go\n", [Reply(250, "OK"), Reply(354, "Go")]),
        (b"550-5.1.1 a\r\n550 5.1.1 b\r\n", [Reply(550, "5.1.1 a\n5.1.1 b")]),
        (b"250-a\r\n251 b\r\n", [Reply(251, "a\nb")]),
        (b"550 \xff\x00\r\n", [Reply(550, "\ufffd\ufffd")]),
        (b"250 O", []),
    ],
)
def test_reader_reads(octets, replies):
    assert ReplyReader().feed(octets) == replies


@pytest.mark.parametrize(
    "octets",
    [
        *(b"\r\n", b"25\r\n", b"HTTP/1.1 400 Bad Request\r\n", b"199 a\r\n", b"600 a\r\n", b"250_a\r\n", b"2500 a\r\n"),
        *(b"250 " + b"a" * MAX_LINE, b"250-a\r\n" * MAX_LINES),
    ],
)
def test_reader_refuses_what_is_no_reply(octets):
    with pytest.raises(ReplyBroken):
        ReplyReader().feed(octets)


@given(st.lists(st.binary(max_size=80) | st.sampled_from([b"250 ok\r\n", b"250-", b"\r\n", b"550 "]), max_size=20))
def test_reader_gives_replies_or_breaks(pieces):
    reader = ReplyReader()
    try:
        for piece in pieces:
            for reply in reader.feed(piece):
                assert 200 <= reply.code < 600
                classify(reply)
                address_is_dead(reply)
    except ReplyBroken:
        pass


@given(st.lists(st.integers(0, 60)))
def test_reader_does_not_care_how_bytes_are_sliced(cuts):
    octets = b"250-mx.test\r\n250-SIZE 1\r\n250 DSN\r\n354 go\r\n250 2.0.0 ok\r\n"
    reader, replies, start = ReplyReader(), [], 0
    for cut in [*sorted(cuts), len(octets)]:
        replies += reader.feed(octets[start:cut])
        start = max(start, cut)

    assert replies == ReplyReader().feed(octets)
