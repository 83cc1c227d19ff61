"""A message as a mail program submits it: read as little as needed, changed as little as allowed.

RFC 6409 section 8 lets a submission server add what is missing; everything else stays byte for byte,
so signatures and encrypted parts survive.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from email.utils import getaddresses

from mailpush.mail import compose

# What never leaves: blind copies, and instructions to us.
STRIPPED = (b"bcc", b"return-path")
STRIPPED_PREFIXES = (b"x-alidm-", b"x-mailpush-")


@dataclass(frozen=True, slots=True)
class Field:
    """One header field: its lower-case name, and its lines as they came, with CRLF."""

    name: bytes
    raw: bytes

    @property
    def value(self) -> str:
        _, _, value = self.raw.partition(b":")
        return value.replace(b"\r\n", b"").decode("utf-8", "replace").strip()


def fields(mime: bytes) -> tuple[list[Field], bytes]:
    """Return the header fields of a message, and its body."""
    headers, blank, body = mime.partition(b"\r\n\r\n")
    if mime.startswith(b"\r\n"):
        headers, blank, body = b"", b"\r\n", mime[2:]
    return list(_fields(headers + b"\r\n" if blank or headers else b"")), body


def _fields(headers: bytes) -> Iterator[Field]:
    lines: list[bytes] = []
    for line in headers.splitlines(keepends=True):
        if line[:1] in b" \t" and lines:
            lines.append(line)
            continue
        if lines:
            yield _field(lines)
        lines = [line]
    if lines:
        yield _field(lines)


def _field(lines: list[bytes]) -> Field:
    return Field(lines[0].partition(b":")[0].strip().lower(), b"".join(lines))


def authors(found: list[Field]) -> list[str]:
    """Return the addresses of the From fields, in lower case (RFC 5322 section 3.6.2)."""
    values = [field.value for field in found if field.name == b"from"]
    return [address.lower() for _, address in getaddresses(values) if address]


def complete(mime: bytes, *, message_id: str, timestamp: float) -> bytes:
    """Return the message as it may leave: without blind copies and instructions, with Date and Message-ID."""
    found, body = fields(mime)
    kept = [field.raw for field in found if not _is_stripped(field.name)]
    names = {field.name for field in found}
    if b"date" not in names:
        kept.append(b"Date: %b\r\n" % compose.message_date(timestamp))
    if b"message-id" not in names:
        kept.append(compose.header("Message-ID", message_id))
    return b"".join(kept) + b"\r\n" + body


def _is_stripped(name: bytes) -> bool:
    return name in STRIPPED or name.startswith(STRIPPED_PREFIXES)
