"""A message as a mail program submits it: read as little as needed, changed as little as allowed.

RFC 6409 section 8 lets a submission server add what is missing; everything else stays byte for byte,
so signatures and encrypted parts survive. MIME is not looked into: nothing nested can hurt.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.utils import getaddresses
from typing import NamedTuple
from uuid import uuid4

from mailpush.mail import compose

# What never leaves: blind copies, and instructions to us.
STRIPPED = (b"bcc", b"resent-bcc", b"return-path")
STRIPPED_PREFIXES = (b"x-alidm-", b"x-mailpush-")

HEADER_BYTES = 128 * 1024  # Postfix has 100 kB a field; a header is read on the way in
MOST_FIELDS = 1000
MOST_ADDRESS_CHARACTERS = 2000  # of fields: taking addresses apart is slow on purpose-made ones
MOST_HOPS = 50  # Received fields; RFC 5321 section 6.3 wants a large number, Postfix has 50
LINE_LIMIT = 998  # RFC 5321 section 4.5.3.1.6, without CRLF

# RFC 5322 section 2.2, folded lines included; blanks before the colon are section 4.5's.
FIELD = re.compile(rb"([!-9;-~]+)[ \t]*:[^\r\n]*\r\n(?:[ \t][^\r\n]*\r\n)*")
# What nearly every From field looks like; the rest is read by the standard library, twenty times as slowly.
PLAIN_AUTHOR = re.compile(r"""(?:"[^"\\]*"|[^"\\<>()@,;:\[\]]*)<([^\s"\\<>()@,;:\[\]]+@[^\s"\\<>()@,;:\[\]]+)>""")
HELO = re.compile(r"[A-Za-z0-9.:\[\]_-]{1,255}")


class BadMessage(Exception):
    """The message cannot be taken; the text is an enhanced code and a sentence."""


class Field(NamedTuple):
    """One header field: its lower-case name, and its lines as they came, with CRLF."""

    name: bytes
    raw: bytes

    @property
    def value(self) -> str:
        _, _, value = self.raw.partition(b":")
        return value.replace(b"\r\n", b"").decode("utf-8", "replace").strip()


@dataclass(frozen=True, slots=True)
class Submitted:
    """A message taken apart as far as needed."""

    fields: list[Field]
    body: bytes
    names: frozenset[bytes]

    @property
    def authors(self) -> list[str]:
        """The addresses of the From fields, in lower case (RFC 5322 section 3.6.2)."""
        values = self.values(b"from")
        if len(values) == 1 and (plain := PLAIN_AUTHOR.fullmatch(values[0])):
            return [plain[1].lower()]
        return [address.lower() for _, address in addresses(values) if address]

    def values(self, name: bytes) -> list[str]:
        return [field.value for field in self.fields if field.name == name] if name in self.names else []

    def value(self, name: bytes) -> str:
        """Return the value of the first field of that name, empty where there is none."""
        return next(iter(self.values(name)), "")

    def completed(self, *, domain: str, timestamp: float, trace: bytes) -> bytes:
        """Return the message as it may leave: without blind copies and instructions, with Date and Message-ID.

        :param domain: where a Message-ID of ours is from.
        :param trace: our Received field.
        """
        kept = [trace, *(field.raw for field in self.fields if not _is_stripped(field.name))]
        if b"date" not in self.names:
            kept.append(b"Date: %b\r\n" % compose.message_date(timestamp))
        if b"message-id" not in self.names:
            kept.append(compose.header("Message-ID", f"<{uuid4()}@{domain}>"))
        return b"".join([*kept, b"\r\n", self.body])


def read(mime: bytes) -> Submitted:
    """Take a message apart, refusing what other servers would break, bounce or hang on.

    :raises BadMessage: overlong lines, or a header that floods, loops or is none.
    """
    if _has_overlong_line(mime):
        raise BadMessage(
            f"5.6.0 A line has more than {LINE_LIMIT} characters, which mail servers break; send the part as base64 or "
            "quoted-printable"
        )
    found, body = fields(mime)
    return Submitted(found, body, frozenset(field.name for field in found))


def _has_overlong_line(mime: bytes) -> bool:
    """Look for the last line end within reach, again and again: each look passes over many short lines."""
    begins, reach = 0, LINE_LIMIT + 2
    while len(mime) - begins >= reach:
        begins = mime.rfind(b"\n", begins, begins + reach) + 1
        if not begins:
            return True
    return False


def fields(mime: bytes) -> tuple[list[Field], bytes]:
    """Return the header fields of a message, and its body.

    :raises BadMessage: the header floods, loops or is none.
    """
    end = _header_end(mime)
    if end > HEADER_BYTES:
        raise BadMessage(f"5.3.4 The header is too large; {HEADER_BYTES} bytes are the most")
    body = mime[end + 2 :] if mime[end : end + 2] == b"\r\n" else mime[end:]
    return _fields(mime[:end]), body


def _header_end(mime: bytes) -> int:
    """Return where the header ends, behind the line end of its last field."""
    if mime.startswith(b"\r\n"):
        return 0
    end = mime.find(b"\r\n\r\n")
    return len(mime) if end < 0 else end + 2


def _fields(header: bytes) -> list[Field]:
    try:
        header.decode()
    except UnicodeDecodeError:
        raise BadMessage("5.6.7 The header has characters that are not UTF-8; encode them (RFC 2047)") from None
    fields: list[Field] = []
    at = 0
    while at < len(header):
        found = FIELD.match(header, at)
        if not found:
            raise BadMessage(
                f"5.6.0 Field {len(fields) + 1} of the header is no field; write a name, a colon and a value, and "
                "leave a line empty before the body"
            )
        fields.append(Field(found[1].lower(), found[0]))
        at = found.end()
    if len(fields) > MOST_FIELDS:
        raise BadMessage(f"5.6.0 The header has {len(fields)} fields; {MOST_FIELDS} are the most")
    if sum(field.name == b"received" for field in fields) > MOST_HOPS:
        raise BadMessage(f"5.4.6 The message has passed more than {MOST_HOPS} servers; it goes round in circles")
    return fields


def received(*, by: str, protocol: str, timestamp: float, client: tuple[str, str] | None = None) -> bytes:
    """Return our trace field (RFC 5321 section 4.4).

    :param client: what the client calls itself and its IP address; left out, nobody learns where customers sit.
    """
    source = ""
    if client:
        helo, ip = client
        shown = helo if HELO.fullmatch(helo) else "unknown"
        source = f"from {shown} ([{'IPv6:' if ':' in ip else ''}{ip}])\r\n\t"
    return f"Received: {source}by {by} with {protocol};\r\n\t".encode() + compose.message_date(timestamp) + b"\r\n"


def addresses(values: Sequence[str]) -> list[tuple[str, str]]:
    """Return names, as they are encoded, and addresses; none where nobody but an attacker writes fields like these."""
    if sum(map(len, values)) > MOST_ADDRESS_CHARACTERS:
        return []
    try:
        return getaddresses(values)
    except RecursionError:  # comments in comments in comments
        return []


def _is_stripped(name: bytes) -> bool:
    return name in STRIPPED or name.startswith(STRIPPED_PREFIXES)
