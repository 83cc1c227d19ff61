import contextlib
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail import circular
from mailpush.mail.circular import BadCircular, Circular


def test_circular_is_what_the_message_says():
    mail = EmailMessage()
    mail["From"], mail["Reply-To"], mail["Subject"] = "小店 <shop@b.test>", "Help <help@b.test>", "您好 {UserName}"
    mail.set_content("Dear {UserName}\n")
    mail.add_alternative("<p>亲爱的 {UserName}</p>\n", subtype="html", charset="gb18030")

    assert circular.read(mail.as_bytes()) == Circular(
        "您好 {UserName}", "<p>亲爱的 {UserName}</p>\n", "Dear {UserName}\n", "小店", "help@b.test"
    )


def test_names_may_hold_commas_and_fields_unencoded_utf8():
    mime = "From: =?utf-8?q?Shop=2C_Inc=2E?= <shop@b.test>\r\nSubject: Grüße,\r\n  您好\r\n\r\nx"

    assert circular.read(mime.encode()) == Circular("Grüße, 您好", text="x", sender_name="Shop, Inc.")


@pytest.mark.parametrize(
    "mime",
    [
        b"Content-Type: text/plain; charset=unknown-8bit-x\r\n\r\n\xff\r\n",
        b"Content-Type: text/plain; charset=utf-8\r\n\r\n\xff\r\n",
        b"Content-Type: image/png\r\n\r\nx\r\n",
        b"Content-Disposition: attachment\r\n\r\nx\r\n",
        b"Content-Type: message/rfc822\r\n\r\nSubject: x\r\n\r\nx\r\n",
        b'Content-Type: multipart/mixed; boundary="a"\r\n\r\n--a\r\n\r\nx\r\n--a\r\n\r\ny\r\n--a--\r\n',
        b"Content-Type: multipart/mixed; boundary=a\r\n\r\n" + b"--a\r\nContent-Type: Multipart/mixed\r\n\r\n" * 500,
        b"Content-Type: message/rfc822\r\n\r\n" * 2000,
        b"Content-Type: text/plain; charset=punycode\r\n\r\n" + b"x" * 10**6 + b"-" + b"a" * 10**6,
        b'Content-Type: text/plain; charset="a\0"\r\n\r\nx\r\n',
        b"Subject: =?nonsense?b?eA==?=\r\n\r\nx\r\n",
        b"Subject: \xff\r\n\r\nx\r\n",
        "Subject: 您 =?utf-8?q?x?=\r\n\r\nx\r\n".encode(),
        b"From: %ba@b.test\r\n\r\nx\r\n" % (b"(" * 900 + b")" * 900),
        b"Reply-To: %ba@b.test\r\n\r\nx\r\n" % (b"(" * 900 + b")" * 900),
        b"Reply-To: ,\r\n\r\nx\r\n",
        b"x" * (circular.LARGEST + 1),
    ],
)
def test_what_readers_would_miss_is_refused(mime):
    with pytest.raises(BadCircular):
        circular.read(mime)


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_refused(octets):
    with contextlib.suppress(BadCircular):
        circular.read(b"Content-Type: multipart/alternative; boundary=a\r\nSubject: " + octets)
