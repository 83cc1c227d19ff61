"""Whole mails with attachments and fields of their author's, put together without email.message (see `compose`)."""

import mimetypes
import re
from binascii import b2a_base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from urllib.parse import quote

from mailpush.mail import compose
from mailpush.mail.merge import Body

BASE64_BYTES = 57  # of a line of 76, RFC 2045 section 6.8
BOUNDARY = "=_mailpush-parts"  # cannot occur in base64 or quoted-printable text
PLAIN_NAME = re.compile(r"[A-Za-z0-9 ._()+-]{1,60}")
NOT_IN_NAME = re.compile(r'[\x00-\x1f\x7f/\\"]')


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Post:
    """What a mail says; `to` stands in its To field, whoever gets it."""

    sender: str
    to: Sequence[str]
    subject: str
    text: str
    html: str = ""
    sender_name: str = ""
    reply_to: str = ""
    reply_to_name: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[Attachment] = ()


@dataclass(frozen=True, slots=True)
class _Whole:
    """A text without places to fill in."""

    parts: tuple[str, ...]
    slots: tuple[tuple[int, str], ...] = ()
    prepare: Callable[[str], str] = str


def written(post: Post, *, message_id: str, timestamp: float) -> bytes:
    """Return the mail with CRLF line ends.

    :param message_id: used unless `headers` has one.
    :raises compose.BadHeader: an address, a name or a field would break out of the header.
    """
    fields = [
        compose.address_header("From", post.sender_name, post.sender),
        compose.address_list_header("To", post.to),
        compose.header("Subject", post.subject),
        b"Date: %b\r\n" % compose.message_date(timestamp),
        compose.header("MIME-Version", "1.0"),
    ]
    if post.reply_to:
        fields.append(compose.address_header("Reply-To", post.reply_to_name, post.reply_to))
    if "message-id" not in {name.lower() for name in post.headers}:
        fields.append(compose.header("Message-ID", message_id))
    fields += [compose.header(name, value) for name, value in post.headers.items()]
    bodies = Body(_Whole((post.text,)), _Whole((post.html,)) if post.html else None)
    description, (body, _hash) = bodies.headers, bodies.render({})
    if post.attachments:
        description, body = _mixed(description + b"\r\n" + body, post.attachments)
    return b"".join(fields) + description + b"\r\n" + body


def _mixed(first: bytes, attachments: Sequence[Attachment]) -> tuple[bytes, bytes]:
    mark = b"--" + BOUNDARY.encode()
    parts = b"".join(b"%b\r\n%b\r\n" % (mark, part) for part in (first, *map(_attached, attachments)))
    description = f'Content-Type: multipart/mixed;\r\n boundary="{BOUNDARY}"\r\n'.encode()
    return description, parts + mark + b"--\r\n"


def _attached(attachment: Attachment) -> bytes:
    content = attachment.content
    lines = [b2a_base64(content[at : at + BASE64_BYTES], newline=False) for at in range(0, len(content), BASE64_BYTES)]
    fields = (
        f"Content-Type: {_media_type(attachment.name)}",
        f"Content-Disposition: attachment;\r\n {_file_name(attachment.name)}",
        "Content-Transfer-Encoding: base64",
    )
    return "\r\n".join([*fields, "", ""]).encode() + b"\r\n".join(lines)


def _media_type(name: str) -> str:
    """Return what a file of this name holds; of packed ones and whole mails, which may not be base64, only that."""
    kind, packing = mimetypes.guess_type(f"file{PurePosixPath(name).suffix}")
    is_plain = kind and not packing and not kind.startswith(("message/", "multipart/"))
    return kind if kind and is_plain else "application/octet-stream"


def _file_name(name: str) -> str:
    """Return the name as a parameter: RFC 2231 beyond plain ASCII, in pieces where it is long."""
    name = NOT_IN_NAME.sub("_", name) or "attachment"
    if PLAIN_NAME.fullmatch(name):
        return f'filename="{name}"'
    coded = quote(name, safe="")
    pieces = re.findall(r"(?:%..|[^%]){1,20}", coded)
    if len(pieces) == 1:
        return f"filename*=utf-8''{coded}"
    pieces[0] = f"utf-8''{pieces[0]}"
    return ";\r\n ".join(f"filename*{n}*={piece}" for n, piece in enumerate(pieces))
