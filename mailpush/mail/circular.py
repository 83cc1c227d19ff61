"""A submitted message read as what it says, where it will be written anew for each reader: subject, text, HTML.

Only for messages to recipient lists; all others leave as they came. Whatever a reader would miss is refused.
"""

import email
import email.message
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header, make_header
from email.utils import getaddresses

LARGEST = 4 * 1024 * 1024  # bytes: two bodies of a megabyte, encoded
MOST_CONTAINERS = 20  # the parser calls itself for each one inside another


class BadCircular(Exception):
    """The message cannot be sent to a list; the text says why."""


@dataclass(frozen=True, slots=True)
class Circular:
    """What a message says; subject and bodies may have variables."""

    subject: str
    html: str = ""
    text: str = ""
    sender_name: str = ""
    reply_to: str = ""


def read(mime: bytes) -> Circular:
    """Take a message apart.

    :raises BadCircular: it has attachments, is too large or too involved, or is in no known character set.
    """
    if len(mime) > LARGEST:
        raise BadCircular(f"A message to a list has up to {LARGEST} bytes; link large images instead of embedding them")
    if mime.lower().count(b"multipart/") > MOST_CONTAINERS:
        raise BadCircular("The parts of the message are nested too deeply for a message to a list")
    mail = email.message_from_bytes(mime)
    bodies: dict[str, str] = {}
    for kind, text in _bodies(mail):
        if kind in bodies:
            raise BadCircular("A message to a list has one text and one HTML body; this one has more")
        bodies[kind] = text
    names = [name for name, _ in getaddresses([_header(mail, "From")])]
    replies = [address for _, address in getaddresses([_header(mail, "Reply-To")]) if address]
    return Circular(
        subject=_header(mail, "Subject"),
        html=bodies.get("text/html", ""),
        text=bodies.get("text/plain", ""),
        sender_name=names[0] if names else "",
        reply_to=replies[0] if replies else "",
    )


def _bodies(mail: email.message.Message) -> Iterator[tuple[str, str]]:
    for part in mail.walk():
        kind = part.get_content_type()
        if part.is_multipart() and kind != "message/rfc822":
            continue
        if kind not in {"text/plain", "text/html"} or part.get_content_disposition() == "attachment":
            raise BadCircular("A message to a list has no attachments or embedded images; link to them instead")
        yield kind, _text(part)


def _text(part: email.message.Message) -> str:
    charset = part.get_content_charset("utf-8")
    content = part.get_payload(decode=True)
    assert isinstance(content, bytes)
    try:
        return content.decode(charset).replace("\r\n", "\n")
    except (LookupError, UnicodeDecodeError):
        raise BadCircular(f"A body says that it is in {charset}, and is not; send it in UTF-8") from None


def _header(mail: email.message.Message, name: str) -> str:
    value = mail.get(name, "")
    try:
        decoded = str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError):
        raise BadCircular(f"The field {name} cannot be read; encode it as RFC 2047 says, in UTF-8") from None
    return " ".join(decoded.split())
