"""What strangers may send to an address of ours: nothing of it may stop the reader or fill its memory."""

import tracemalloc

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from mailpush.mail import returned
from mailpush.mail.parts import MOST_PARTS, parts, unencoded
from mailpush.mail.replies import address_is_dead, classify
from tests.mailpush.mail.test_returned import BOUNCES, OTHERS, sample

LARGEST = 10 * 1024 * 1024
MOST_MEMORY = 64 * 1024 * 1024

BOUNCE = b"From: MAILER-DAEMON@x.example\r\nSubject: Undelivered Mail\r\n"
REPORT = BOUNCE + b"Content-Type: multipart/report; report-type=delivery-status; boundary=b\r\n\r\n"
STATUS = REPORT + b"--b\r\nContent-Type: message/delivery-status\r\n\r\n"
TAGS = (
    b"\r\nhere is your list of failed recipients the following addresses had Your message could not be delivered to\r\n"
    b"Sorry, unable to deliver your message to\r\nHi. This is the qmail-send program\r\n\r\n"
)
# What each head is followed by, over and over, up to the size the door takes.
GROWN = {
    "one line": (BOUNCE + b"\r\n", b"x"),
    "empty lines": (BOUNCE + b"\r\n", b"\r\n"),
    "header fields": (b"", b"A: b\r\n"),
    "folded field": (b"A: b\r\n", b" c\r\n"),
    "multiparts inside each other": (REPORT, b"--b\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n"),
    "parts": (REPORT, b"--b\r\n\r\nx\r\n"),
    "nearly boundaries": (REPORT, b"\n--bx"),
    "blocks": (STATUS, b"Final-Recipient: rfc822; a@x.example\r\nAction: failed\r\nStatus: 5.1.1\r\n\r\n"),
    "diagnostic": (STATUS + b"Final-Recipient: a@x.example\r\nAction: failed\r\nDiagnostic-Code: ", b"550 5.1.1 "),
    "comments": (STATUS + b"Final-Recipient: ", b"("),
    "addresses": (BOUNCE + TAGS, b"a@"),
    "lines for the detectors": (BOUNCE + TAGS, b"x" * 250 + b"\r\n"),
    "replies": (BOUNCE + b"\r\n", b"550 5.1.1 no\r\n"),
    "tokens": (BOUNCE + b"\r\n", b"00000000004101490123456789abcdef0123 "),
    "base64": (BOUNCE + b"Content-Transfer-Encoding: base64\r\n\r\n", b"QUFB\r\n"),
    "punycode": (BOUNCE + b"Content-Type: text/plain; charset=punycode\r\n\r\n", b"a-b1"),
    "tags": (BOUNCE + b"Content-Type: text/html\r\n\r\n", b"<a "),
    "encoded words": (b"From: a@b.example\r\nSubject: ", b"=?utf-8?q?a?= "),
    "parameters": (b"Content-Type: multipart/mixed", b'; a="'),
    "mail in a mail": (REPORT + b"--b\r\nContent-Type: message/rfc822\r\n\r\n", b"A: b\r\n"),
    "bytes beyond ASCII": (BOUNCE + b"\r\n", b"\xff\xfe"),
}


def read_within_bounds(content: bytes) -> None:
    tracemalloc.start()
    try:
        reading = returned.read(content)
        for recipient in ("", "anna@readers.example"):
            reply, _ = reading.verdict(recipient)
            reading.kind_for(recipient)
            if reply:
                classify(reply)
                address_is_dead(reply)
        assert tracemalloc.get_traced_memory()[1] <= MOST_MEMORY
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(("head", "unit"), GROWN.values(), ids=GROWN)
def test_largest_mails_are_read_within_bounds(head, unit):
    read_within_bounds(head + unit * ((LARGEST - len(head)) // len(unit)))


PIECES = st.sampled_from(
    [
        b"\r\n\r\n", b"\n\n", b"\r\n", b"--b\r\n", b"--b--\r\n", b"Content-Type: ", b"multipart/mixed; boundary=b\r\n",
        b"message/delivery-status\r\n", b"message/rfc822\r\n", b"message/feedback-report\r\n", b"text/html\r\n",
        b"Content-Transfer-Encoding: base64\r\n", b"Content-Transfer-Encoding: quoted-printable\r\n", b"=E4=", b"=?",
        b"Final-Recipient: utf-8; \\x{110000}@x\r\n", b"Action: failed\r\n", b"Status: 5.1.1\r\n", b"Diagnostic-Code: ",
        b"550 5.1.1 ", b"From: MAILER-DAEMON\r\n", b"From:\r\n", b"Subject: Undelivered\r\n", b"Auto-Submitted: x\r\n",
        b"X-HmXmrOriginalRecipient: a\r\n", b"=?gbk?b?0_=?=", b"\0", b"\xff", b'"', b";", b"(", b"<a@b>:", b" ",
    ]
)  # fmt: skip
SAMPLES = st.sampled_from([sample(name) for name in {**BOUNCES, **OTHERS}])


@settings(deadline=None)
@given(st.lists(PIECES | st.binary(max_size=40), max_size=40))
@example([b"Content-Type: multipart/mixed; boundary=\xff\r\n\r\n--\xff\r\n"])
def test_any_bytes_are_read(pieces):
    read_within_bounds(b"".join(pieces))


@settings(deadline=None)
@given(SAMPLES, st.lists(st.tuples(st.floats(0, 1), st.integers(0, 60), PIECES | st.binary(max_size=30)), max_size=8))
def test_any_report_with_changed_places_is_read(content, changes):
    for place, length, piece in changes:
        at = int(place * len(content))
        content = content[:at] + piece + content[at + length :]

    read_within_bounds(content)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(PIECES | st.binary(max_size=40), max_size=10).map(b"".join),
    st.lists(PIECES | st.binary(max_size=40), min_size=1, max_size=4).map(b"".join).filter(bool),
)
def test_any_bytes_over_and_over_are_read(head, unit):
    read_within_bounds((head + unit * (LARGEST // len(unit)))[:LARGEST])


@given(st.binary(max_size=2000))
def test_parts_lie_within_the_mail(content):
    found = parts(content)

    assert 1 <= len(found) <= MOST_PARTS
    assert all(0 <= part.start <= len(content) and part.end <= len(content) for part in found)


@given(st.text(max_size=100) | st.from_regex(r"(=\?[a-z0-9-]{0,9}\?[bqx]\?[^?]{0,20}\?=)+"))
def test_any_words_are_decoded_or_left(text):
    assert isinstance(unencoded(text), str)
