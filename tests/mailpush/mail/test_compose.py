import base64
import email
import email.header
import email.policy
import email.utils
import re
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailpush.mail import compose
from mailpush.mail.compose import BadHeader

# Any script, emoji, controls; no line breaks, NUL or halves of surrogate pairs.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\r\n\x00")
values = st.one_of(
    st.text(characters, max_size=300),
    st.text('ab \t=?"\\,;<>()@.', max_size=300),
    st.text("字é😀 a", max_size=200),
    st.lists(st.text("abc=?", min_size=1, max_size=90), max_size=12).map(" ".join),
)
texts = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=300),
    st.text("a.= \t\n字😀", max_size=400),
    st.lists(st.sampled_from([".", "..", "a ", "\t", "", "x" * 1200, "字" * 300, "--b", "=20"]), max_size=8).map(
        "\n".join
    ),
)


def read(message):
    return email.message_from_bytes(message, policy=email.policy.default)


def unfolded_lines(text):
    return text.replace("\r\n", "\n").replace("\r", "\n")


def is_tidy(message, limit=78):
    """Whether it is 7-bit, has CRLF only and short lines."""
    lines = message.split(b"\r\n")
    return message.isascii() and not re.search(rb"[\r\n]", b"".join(lines)) and max(map(len, lines)) <= limit


@settings(max_examples=600, deadline=None)
@given(values)
def test_subject_is_read_back(value):
    field = compose.header("Subject", value)

    assert read(field + b"\r\n")["Subject"] == value
    assert is_tidy(field, 78 if " " in value or len(value) < 60 else 998)
    assert not re.search(rb"\r\n[ \t]*\r\n", field)


@given(st.integers(1, 100), st.text("字é😀a", min_size=1, max_size=200))
def test_each_encoded_word_has_whole_characters(length, value):
    # RFC 2047 section 5 (3): some readers decode each word on its own
    field = compose.header("X" * length, value)

    words = re.findall(rb"=\?utf-8\?b\?([^?]*)\?=", field)
    assert "".join(base64.b64decode(word).decode() for word in words) in {value, ""}
    assert all(len(word) + len("=?utf-8?b??=") <= 75 for word in words)


def test_value_that_looks_encoded_is_read_as_it_is():
    value = "How to write =?utf-8?b?6YeR?= in a subject"

    assert read(compose.header("Subject", value) + b"\r\n")["Subject"] == value


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 100), values)
def test_field_with_a_long_name_is_read_back(length, value):
    name = "X" * length

    assert read(compose.header(name, value) + b"\r\n")[name] == value


@settings(max_examples=500, deadline=None)
@given(values.filter(lambda name: len(name.encode()) <= 42 and not re.search(r"\t|  |^ | $", name)))
def test_display_name_is_read_back(name):
    field = compose.address_header("From", name, "kim@shop.example")

    (found,) = read(field + b"\r\n")["From"].addresses
    assert (found.display_name, found.addr_spec) == (name, "kim@shop.example")
    assert is_tidy(field)


@settings(max_examples=300, deadline=None)
@given(st.text("字é😀ab", min_size=1, max_size=200))
def test_long_display_name_is_read_back(name):
    # The newer parser of Python 3.11 puts blanks between the encoded words of a name (fixed later).
    field = compose.address_header("From", name, "kim@shop.example")

    value = email.message_from_bytes(field + b"\r\n")["From"]
    shown, address = email.utils.parseaddr(str(email.header.make_header(email.header.decode_header(value))))
    assert (shown, address) == (name, "kim@shop.example")
    assert is_tidy(field)


@pytest.mark.parametrize(
    ("name", "field"),
    [
        ("", b"From: kim@shop.example\r\n"),
        ("Kim Lee", b"From: Kim Lee <kim@shop.example>\r\n"),
        ("Lee, Kim", b'From: "Lee, Kim" <kim@shop.example>\r\n'),
        ('Kim "K" \\ Lee', b'From: "Kim \\"K\\" \\\\ Lee" <kim@shop.example>\r\n'),
        ("K. Lee", b'From: "K. Lee" <kim@shop.example>\r\n'),
        ("金", b"From: =?utf-8?b?6YeR?= <kim@shop.example>\r\n"),
    ],
)
def test_display_name_is_quoted_only_where_it_must_be(name, field):
    assert compose.address_header("From", name, "kim@shop.example") == field


def test_address_outside_ascii_is_written_in_utf8():
    assert (
        compose.address_header("To", "金", "用户@shop.example")
        == "To: =?utf-8?b?6YeR?= <用户@shop.example>\r\n".encode()
    )


@pytest.mark.parametrize("value", ["a\r\nBcc: b@shop.example", "a\nb", "a\rb", "a\x00b", "a\ud800b"])
def test_value_that_breaks_out_is_refused(value):
    with pytest.raises(BadHeader):
        compose.header("Subject", value)
    with pytest.raises(BadHeader):
        compose.address_header("From", value, "kim@shop.example")
    with pytest.raises(BadHeader):
        compose.address_header("From", "Kim", value + "@shop.example") if "\ud800" not in value else compose.header(
            "X", value
        )


@pytest.mark.parametrize("address", ["", "a@b>, <c@d", "a b@c", "a@b,c@d", "k" * 2000 + "@x.example"])
def test_bad_address_is_refused(address):
    with pytest.raises(BadHeader):
        compose.address_header("From", "", address)


@pytest.mark.parametrize("name", ["", "Sub ject", "Subject:", "Sübject", "A\r\nB"])
def test_bad_field_name_is_refused(name):
    with pytest.raises(BadHeader):
        compose.header(name, "x")


def test_long_word_stays_whole_up_to_the_limit_of_a_line():
    address = "<https://shop.example/" + "u" * 500 + ">"

    assert compose.header("List-Unsubscribe", address) == f"List-Unsubscribe: {address}\r\n".encode()
    assert is_tidy(compose.header("Subject", "x" * 5000))


def test_long_values_are_folded_at_blanks():
    field = compose.header("Subject", "word " * 30 + "end")

    assert field.count(b"\r\n") > 1
    assert is_tidy(field)


@given(st.integers(0, 4_102_444_800))
def test_date_is_read_back(second):
    assert email.utils.parsedate_to_datetime(compose.message_date(second + 0.9).decode()) == datetime.fromtimestamp(
        second, UTC
    )


def test_date_as_in_rfc_5322():
    assert compose.message_date(1_790_000_000) == b"Mon, 21 Sep 2026 14:13:20 +0000"


@pytest.mark.parametrize(
    ("html", "text"),
    [
        ("<p>One</p><p>Two</p>", "One\n\nTwo"),
        ("One<br>Two<br><br>Three", "One\nTwo\n\nThree"),
        ("  a \n b  <b>c</b> d<i>e</i>", "a b c de"),
        ("<h1>Sale</h1>All must go", "Sale\n\nAll must go"),
        ("<div>a<div>b</div></div>c", "a\nb\nc"),
        ('<a href="https://shop.example/x?a=1&amp;b=2">Look</a>.', "Look (https://shop.example/x?a=1&b=2)."),
        ('<a href="https://shop.example">https://shop.example</a>', "https://shop.example"),
        ('<a href="https://shop.example/">shop.example</a>', "shop.example"),
        ('<a href="mailto:kim@shop.example">Kim</a>', "Kim (kim@shop.example)"),
        ('<a href="mailto:kim@shop.example">kim@shop.example</a>', "kim@shop.example"),
        ('<a href="javascript:alert(1)">x</a><a href="#top">up</a>', "xup"),
        ('<a href="https://shop.example/x"><img src="a.png" alt="Shop"></a>', "Shop (https://shop.example/x)"),
        ('<a href="https://shop.example/x"><img src="a.png"></a>', "https://shop.example/x"),
        ('<a href="{unsubscribe}">Leave</a> {UserName}', "Leave ({unsubscribe}) {UserName}"),
        ("<ul><li>a</li><li>b<ul><li>c</li></ul></li></ul>d", "- a\n- b\n  - c\n\nd"),
        ("<ol><li>a</li><li>b</li></ol>", "1. a\n2. b"),
        ('<ol start="7"><li>a</li></ol>', "7. a"),
        ("<ul><li><p>a</p></li><li><p>b</p></li></ul>", "- a\n\n- b"),
        ("<ul><li></li></ul>a", "a"),
        ("<li>a</li>", "- a"),
        ("<table><tr><td>Tea</td><td>3</td></tr><tr><td>Ink</td><td>5</td></tr></table>", "Tea 3\nInk 5"),
        ("<pre>a  b\n c</pre>", "a  b\n c"),
        ("a<hr>b", "a\n\n--------------------\n\nb"),
        ("<style>p{}</style><script>x()</script><title>t</title><!-- no -->a", "a"),
        ("<html><head><style>a</style></head><body>您好 &amp; &lt;b&gt; &nbsp;é</body></html>", "您好 & <b> \xa0é"),
        ("", ""),
    ],
)
def test_html_reads_as_text(html, text):
    assert compose.html_to_text(html) == text


@pytest.mark.parametrize("length", [200_000, 300_000])
def test_a_tag_that_never_ends_is_read_once(length):
    """Read again from each of its letters, it takes minutes."""
    compose.html_to_text("a<" + "b" * length)


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.text("<>/apulirbo &;\"='!-", max_size=200)))
def test_any_html_gives_some_text(html):
    text = compose.html_to_text(html)

    assert text == text.strip("\n")
    assert "\n\n\n" not in text or "\n" in html
