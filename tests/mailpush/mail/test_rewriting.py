"""Finished messages with another HTML for each recipient."""

import email
from email import policy
from email.message import EmailMessage

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail.letter import check_lines
from mailpush.mail.rewriting import MARK, rewritten

TOKEN = "0123456789abcdef" * 2


def mail(html, *, cte="quoted-printable", charset="utf-8", attach=True):
    message = EmailMessage(policy.SMTP)
    message["From"], message["Subject"] = "a@b.example", "Hello"
    message.set_content("text with href=http://a.example")
    message.add_alternative(html, subtype="html", cte=cte, charset=charset)
    if attach:
        message.add_attachment(b"\0\1\2" * 100, "application", "octet-stream", filename="x.bin")
    return message.as_bytes()


def change(html):
    return html.replace("LINK", f"http://t.example/{MARK}/x") + f"<img src={MARK}.gif>"


def html_of(mime):
    part = email.message_from_bytes(mime, policy=policy.default).get_body(("html",))
    return part.get_content().replace("\r\n", "\n")


@pytest.mark.parametrize("cte", ["quoted-printable", "base64", "8bit"])
@pytest.mark.parametrize("charset", ["utf-8", "gb18030"])
def test_only_the_html_part_is_another_one(cte, charset):
    mime = mail("<p>你好 LINK = LINK</p>\n.dot\n", cte=cte, charset=charset)

    ours = rewritten(mime, change).render(TOKEN)

    assert html_of(ours) == change("<p>你好 LINK = LINK</p>\n.dot\n").replace(MARK, TOKEN)
    check_lines(ours)
    begins = ours.index(b"\r\n\r\n", ours.index(b"text/html"))
    same = len(mime) - len(mime[mime.index(b"\r\n--=", mime.index(b"text/html")) :])
    assert ours[:begins] == mime[:begins]
    assert ours.endswith(mime[same:])


@given(
    st.text(st.characters(codec="utf-8", exclude_characters="\r\0"), max_size=400),
    st.sampled_from(["quoted-printable", "base64"]),
)
def test_html_comes_out_as_it_went_in(text, cte):
    html = f"LINK{text}LINK\n"
    whole = rewritten(mail(html, cte=cte, attach=False), change)

    assert html_of(whole.render(TOKEN)) == change(html).replace(MARK, TOKEN)


def test_a_message_that_is_html_alone():
    mime = b"From: a@b.example\r\nContent-Type: text/html\r\nContent-Transfer-Encoding: base64\r\n\r\nTElOSw==\r\n"

    ours = rewritten(mime, change).render(TOKEN)

    assert html_of(ours) == change("LINK").replace(MARK, TOKEN)


SIGNED = (
    b'Content-Type: multipart/signed; boundary="b"\r\n\r\n--b\r\nContent-Type: text/html\r\n\r\nLINK\r\n'
    b"--b\r\nContent-Type: application/pgp-signature\r\n\r\nx\r\n--b--\r\n"
)


@pytest.mark.parametrize(
    "mime",
    [
        b"From: a@b.example\r\n\r\ntext\r\n",
        SIGNED,
        b"DKIM-Signature: v=1; b=x\r\nContent-Type: text/html\r\n\r\nLINK\r\n",
        b"Content-Type: text/html\r\nContent-Disposition: attachment\r\n\r\nLINK\r\n",
        b"Content-Type: text/html; charset=utf-16\r\n\r\nLINK\r\n",
        b"Content-Type: text/html; charset=klingon\r\n\r\nLINK\r\n",
        b"Content-Type: text/html; charset=utf-8\r\n\r\n\xff\r\n",
        b"Content-Type: text/html\r\nContent-Transfer-Encoding: x-uue\r\n\r\nLINK\r\n",
        b"Content-Type: text/html\r\n\r\n" + b"LINK" * 200 + b"\r\n",
        b"Content-Type: message/rfc822\r\n\r\nContent-Type: text/html\r\n\r\nLINK\r\n",
    ],
    ids=[
        "no html",
        "signed",
        "dkim",
        "attached",
        "utf-16",
        "unknown charset",
        "not its charset",
        "uue",
        "long",
        "forwarded",
    ],
)
def test_what_may_not_or_cannot_be_changed_is_left(mime):
    assert rewritten(mime, change) is None
