"""A submitted message read as what it says, where it will be written anew for each reader: subject, text, HTML.

Only for messages to recipient lists; all others leave as they came. Whatever a reader would miss is refused.
"""

import email
import email.message
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header

from mailpush.mail.parts import codec
from mailpush.mail.submitted import addresses

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
        raise _nested_too_deeply()
    try:
        mail = email.message_from_bytes(mime)
    except RecursionError:
        raise _nested_too_deeply() from None
    bodies: dict[str, str] = {}
    for kind, text in _bodies(mail):
        if kind in bodies:
            raise BadCircular("A message to a list has one text and one HTML body; this one has more")
        bodies[kind] = text
    senders, replies = _addresses(mail, "From"), _addresses(mail, "Reply-To")
    return Circular(
        subject=_decoded(_field(mail, "Subject"), "Subject"),
        html=bodies.get("text/html", ""),
        text=bodies.get("text/plain", ""),
        sender_name=_decoded(senders[0][0], "From") if senders else "",
        reply_to=replies[0][1] if replies else "",
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
        return content.decode(_codec(charset)).replace("\r\n", "\n")
    except ValueError:
        raise BadCircular(f"A body says that it is in {charset}, and is not; send it in UTF-8") from None


def _field(mail: email.message.Message, name: str) -> str:
    """Return the first field of that name on one line, its encoded words as they are."""
    raw = next((value for field, value in mail.raw_items() if field.lower() == name.lower()), "")
    try:
        return " ".join(raw.encode("ascii", "surrogateescape").decode().split())
    except UnicodeDecodeError:
        raise _unreadable(name) from None


def _addresses(mail: email.message.Message, name: str) -> list[tuple[str, str]]:
    """Return names and addresses of a field; what an encoded name holds is not taken for an address."""
    value = _field(mail, name)
    found = [(shown, address) for shown, address in addresses([value]) if address]
    if value and not found:
        raise _unreadable(name)
    return found


def _decoded(text: str, name: str) -> str:
    """Return the text of a field with its encoded words (RFC 2047) decoded."""
    if "=?" not in text:
        return text
    try:
        words = decode_header(text.encode("ascii").decode())  # beside encoded words it can read ASCII alone
        pieces = [word if isinstance(word, str) else word.decode(_codec(charset or "ascii")) for word, charset in words]
    except (HeaderParseError, ValueError):
        raise _unreadable(name) from None
    return " ".join("".join(pieces).split())


def _codec(charset: str) -> str:
    """:raises ValueError: it is no charset of mails."""
    if name := codec(charset.partition("*")[0]):  # RFC 2231 section 5 puts a language behind a star
        return name
    raise ValueError(charset)


def _unreadable(name: str) -> BadCircular:
    return BadCircular(f"The field {name} cannot be read; encode it as RFC 2047 says, in UTF-8")


def _nested_too_deeply() -> BadCircular:
    return BadCircular("The parts of the message are nested too deeply for a message to a list")
