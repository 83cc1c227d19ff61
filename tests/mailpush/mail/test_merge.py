import email
import email.policy
import html as html_escapes
import re
from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpush.mail import compose, dkim
from mailpush.mail.merge import Body, Head, form

LITERALS = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.text("a.= \t\n字😀", max_size=400),
    st.text(" \t.x", max_size=300),
    st.lists(st.sampled_from([".", "..", "a ", "\t", "", "x" * 1200, "字" * 300, "--b", "=20"]), max_size=8).map(
        "\n".join
    ),
)
VALUES = st.one_of(
    st.text("Ada &=.\t é字\n", max_size=160),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=80),
    st.sampled_from(["", " ", "  ", ".", "x" * 75, "x" * 76, "a b", " a", "a ", "=", "From me"]),
)


@dataclass
class Form:
    """Literals with the values a, b, c … between them."""

    literals: list[str]
    prepare = staticmethod(str)

    @property
    def parts(self):
        return [part for literal in self.literals for part in (literal, "")][:-1]

    @property
    def slots(self):
        return [(2 * n + 1, chr(ord("a") + n)) for n in range(len(self.literals) - 1)]

    def filled(self, values):
        return "".join(
            part for n, literal in enumerate(self.literals) for part in (literal, values.get(chr(ord("a") + n), ""))
        )


class Escaped(Form):
    prepare = staticmethod(html_escapes.escape)


FORMS = st.lists(LITERALS, min_size=1, max_size=4).map(Form)
ALL_VALUES = st.dictionaries(st.sampled_from("abc"), VALUES)


def read(body, rendered):
    return email.message_from_bytes(
        b"MIME-Version: 1.0\r\n" + body.headers + b"\r\n" + rendered, policy=email.policy.default
    )


def lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_tidy(message):
    """Whether it is 7-bit, has CRLF only and lines of at most 76 (RFC 2045 section 6.7)."""
    found = message.split(b"\r\n")
    return message.isascii() and not re.search(rb"[\r\n]", b"".join(found)) and max(map(len, found)) <= 76


@settings(max_examples=500, deadline=None)
@given(FORMS, FORMS, ALL_VALUES)
def test_both_alternatives_are_read_back_with_their_values(text, html, values):
    values = {name: value for name, value in values.items() if ord(name) - ord("a") < 3}
    body = Body(text, html)

    rendered, body_hash = body.render(values)

    found = read(body, rendered)
    plain, rich = found.iter_parts()
    assert found.get_content_type() == "multipart/alternative"
    assert (plain.get_content_type(), rich.get_content_type()) == ("text/plain", "text/html")
    slots = len(text.literals) - 1, len(html.literals) - 1
    expected = [{name: values[name] for name in values if ord(name) - ord("a") < n} for n in slots]
    assert lines(plain.get_content()) == lines(text.filled(expected[0]))
    assert lines(rich.get_content()) == lines(html.filled(expected[1]))
    assert not found.defects
    assert is_tidy(rendered)
    assert b"\r\n." not in rendered
    assert body_hash == dkim.body_hash(rendered)


@settings(max_examples=300, deadline=None)
@given(FORMS, ALL_VALUES)
def test_text_alone_is_read_back_with_its_values(text, values):
    body = Body(text, None)

    rendered, body_hash = body.render(values)

    found = read(body, rendered)
    used = {name: value for name, value in values.items() if ord(name) - ord("a") < len(text.literals) - 1}
    assert found.get_content_type() == "text/plain"
    assert lines(found.get_content()).rstrip("\n") == lines(text.filled(used)).rstrip("\n")
    assert is_tidy(rendered)
    assert body_hash == dkim.body_hash(rendered)


def test_one_recipients_values_do_not_show_in_the_next_ones_mail():
    body = Body(Form(["Hello ", "!"]), Escaped(["<p>Hello ", "!</p>"]))

    first, _ = body.render({"a": "<Ada> & co"})
    second, _ = body.render({})

    assert b"&lt;Ada&gt; &amp; co" in first
    assert b"Ada" not in second


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Good day", "quoted-printable"),
        ("Viele Grüße aus der großen Stadt am Rhein", "quoted-printable"),
        ("您好，您的验证码是 123456", "base64"),
    ],
)
def test_encoding_is_the_shorter_one(text, encoding):
    body = Body(Form([text]), None)

    assert read(body, body.render({})[0])["Content-Transfer-Encoding"] == encoding


def test_text_without_values_is_sent_as_it_is():
    body = Body(Form(["Good day"]), None)

    assert body.headers == b"Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n"
    assert body.render({})[0] == b"Good day\r\n"


@settings(max_examples=300, deadline=None)
@given(st.text(st.characters(exclude_characters="\r\n\0", exclude_categories=["Cs"]), max_size=300))
def test_head_is_hashed_as_verifiers_read_it(subject):
    fixed = form(b'From: "50 % (off)b" <a@b.example>\r\n')
    head = Head(b"To: %(to)b\r\nSubject: %(subject)b\r\n" + fixed)

    headers, fields = head.render(
        {b"to": b"anna@readers.example", b"subject": compose.header_value("Subject", subject)}
    )

    assert headers == compose.address_header("To", "", "anna@readers.example") + compose.header(
        "Subject", subject
    ) + compose.address_header("From", "50 % (off)b", "a@b.example")
    assert fields == dkim.canonical_headers(headers)
