import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mailpush.mail import directives, submitted
from mailpush.mail.directives import BadDirective
from mailpush.mail.submitted import BadMessage


@pytest.mark.parametrize(
    ("mime", "problem"),
    [
        (b"From: a@b.test\r\n\r\n" + b"x" * 999 + b"\r\n", "998 characters"),
        (b"Subject: " + b"x" * 990 + b"\r\n\r\n", "998 characters"),
        (b"X-A: b\r\n" * 1001 + b"\r\n", "1001 fields"),
        (b"X-A: b\r\n" * 20_000 + b"\r\n", "header is too large"),
        (b"X-A: " + b" x\r\n" * 40_000 + b"\r\n", "header is too large"),
        (b"Received: x\r\n" * 51 + b"\r\n", "50 servers"),
        (b"no field\r\n\r\n", "Field 1 of the header is no field"),
        (b"From: a@b.test\r\nBad name: x\r\n\r\n", "Field 2"),
        (b" folded: first\r\n\r\n", "Field 1"),
        (b": x\r\n\r\n", "Field 1"),
        ("Subject: 中文\r\n\r\n".encode("gbk"), "not UTF-8"),
    ],
)
def test_what_others_would_break_or_hang_on_is_refused(mime, problem):
    with pytest.raises(BadMessage, match=problem):
        submitted.read(mime)


@pytest.mark.parametrize(
    "mime",
    [
        b"From: a@b.test\r\n\r\n" + b"x" * 998 + b"\r\n",
        b"Received: x\r\n" * 50 + b"\r\n",
        "Subject: 中文\r\n\r\n".encode(),
        # A bomb of containers is bytes like any others: nobody opens it.
        b'Content-Type: multipart/mixed; boundary="a"\r\n\r\n'
        + b"--a\r\nContent-Type: multipart/mixed\r\n\r\n" * 20_000,
    ],
)
def test_what_is_odd_but_harmless_passes_as_it_is(mime):
    message = submitted.read(mime)

    assert b"".join(field.raw for field in message.fields) + b"\r\n" + message.body == mime


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"A@b.test", ["a@b.test"]),
        (b"Ann <A@b.test>", ["a@b.test"]),
        (b'"<eve@c.test>" <a@b.test>', ["a@b.test"]),
        (b'"Ann \\" <eve@c.test>," <a@b.test>', ["a@b.test"]),
        (b"a@b.test, eve@c.test", ["a@b.test", "eve@c.test"]),
        (b"eve@c.test <a@b.test>, x@c.test", None),
        (b"", []),
        (b"<" * 3000, []),
    ],
)
def test_authors(value, expected):
    mime = b"From: " + b"\r\n ".join(value[at : at + 900] for at in range(0, len(value), 900)) + b"\r\n\r\n"

    authors = submitted.read(mime).authors

    assert authors == expected if expected is not None else len(authors) != 1


def test_two_from_fields_are_two_authors():
    assert len(submitted.read(b"From: a@b.test\r\nFROM : eve@c.test\r\n\r\n").authors) == 2


def test_comments_in_comments_name_nobody():
    assert submitted.read(b"From: " + b"(\r\n " * 500 + b")" * 500 + b"a@b.test\r\n\r\n").authors == []


def test_instructions_and_blind_copies_stay_here():
    ours = b"Bcc: x@y.test\r\nX-AliDM-Trace: e30=\r\nX-Mailpush-Tag: t\r\n folded\r\nReturn-Path: <>\r\n"

    message = submitted.read(ours + b"To: z@y.test\r\n\r\nB")
    completed = message.completed(domain="b.test", timestamp=0, trace=b"Received: x\r\n")

    fields, _, body = completed.partition(b"\r\n\r\n")
    assert [line.partition(b":")[0] for line in fields.split(b"\r\n")] == [b"Received", b"To", b"Date", b"Message-ID"]
    assert fields.endswith(b"@b.test>")
    assert body == b"B"


@given(st.lists(st.integers(0, 1002), max_size=6))
def test_longest_line_decides(lengths):
    body = b"".join(b"x" * length + b"\r\n" for length in lengths)
    refusal = contextlib.nullcontext() if max([0, *lengths]) <= 998 else pytest.raises(BadMessage, match="998")

    with refusal:
        submitted.read(b"From: a@b.test\r\n\r\n" + body)


LINES = st.binary(max_size=40).map(lambda line: line.translate(None, b"\r\n"))


@given(st.lists(LINES, max_size=8))
def test_whatever_comes_is_read_or_refused_and_not_changed(lines):
    mime = b"".join(line + b"\r\n" for line in lines)
    try:
        message = submitted.read(mime)
    except BadMessage:
        return
    header = b"".join(field.raw for field in message.fields)
    assert mime in {header + message.body, header + b"\r\n" + message.body}
    assert isinstance(message.authors, list)


@given(st.text(max_size=60).map(lambda text: "".join(text.split())))
def test_any_directive_is_read_or_refused(value):
    mime = f"X-AliDM-Trace: {value}\r\nX-AliDM-Settings: {value}\r\n\r\n".encode(errors="replace")
    with contextlib.suppress(BadDirective, BadMessage):
        directives.read(submitted.read(mime))


@pytest.mark.parametrize(
    ("fields", "is_tracked"),
    [
        ({}, False),
        ({"X-Mailpush-Track": "yes"}, True),
        ({"x-mailpush-track": "YES"}, True),
        ({"X-Mailpush-Track": "no"}, False),
        ({"X-AliDM-Trace": {"TagName": "a"}}, False),
        ({"X-AliDM-Trace": {"OpenTrace": "1"}}, True),
        ({"X-AliDM-Trace": {"LinkTrace": 1}}, True),
        ({"X-AliDM-Trace": {"OpenTrace": "0", "LinkTrace": "0"}}, False),
        ({"X-AliDM-Trace": {"OpenTrace": "1"}, "X-Mailpush-Track": "no"}, False),
    ],
)
def test_tracking_is_asked_for_in_our_field_or_in_directmails(fields, is_tracked):
    lines = [f"{name}: {value if isinstance(value, str) else encoded(value)}\r\n" for name, value in fields.items()]

    assert directives.read(submitted.read("".join([*lines, "\r\n"]).encode())).is_tracked is is_tracked


def encoded(trace):
    return base64.b64encode(json.dumps(trace).encode()).decode()


def test_tracking_is_asked_for_or_not():
    with pytest.raises(BadDirective, match="X-Mailpush-Track: yes or no"):
        directives.read(submitted.read(b"X-Mailpush-Track: perhaps\r\n\r\n"))
