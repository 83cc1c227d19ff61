"""Finished messages whose HTML part is another one for each recipient. Pure.

Every byte outside the part stays as it is, its header fields too: the new HTML is written in the charset and the
transfer encoding of the old one.
"""

import binascii
from binascii import b2a_base64
from collections.abc import Callable

from mailpush.mail.merge import LINE, quoted
from mailpush.mail.parts import Part, codec, parts
from mailpush.mail.submitted import LINE_LIMIT

MARK = "\0"
# What a change would break or not reach.
SEALED = ("multipart/signed", "multipart/encrypted", "application/pkcs7-mime", "application/x-pkcs7-mime")
IDENTITY = ("", "7bit", "8bit", "binary")
VALUE_LENGTH = 100  # of a value at most, for the length of lines


class Rewritten:
    """A message with places in its HTML for one value, of letters and digits."""

    def __init__(self, mime: bytes, part: Part, html: bytes) -> None:
        """:param html: with a NUL at each place."""
        self._before, self._after = mime[: part.start], mime[part.end :]
        self._pieces = html.split(b"\0")
        self._encode = _ENCODINGS[_encoding(part)]

    def render(self, value: str) -> bytes:
        """Return the message for one recipient."""
        return self._before + self._encode(self._pieces, value.encode()) + self._after


def rewritten(mime: bytes, change: Callable[[str], str]) -> Rewritten | None:
    """Return the message with its HTML changed; None where it has none, or none that may or can be changed.

    :param mime: with CRLF line ends.
    :param change: returns the new HTML, with a MARK for each place.
    """
    found = parts(mime)
    if any(part.kind in SEALED for part in found) or "dkim-signature" in found[0].header:
        return None
    part = next((part for part in found if part.kind == "text/html" and not _is_attached(part)), None)
    if part is None or (old := _decoded(part)) is None:
        return None
    html, charset = old
    new = change(html.replace("\r\n", "\n")).replace("\n", "\r\n").encode(charset)
    is_long = _encoding(part) in IDENTITY and max(map(len, new.split(b"\r\n"))) + VALUE_LENGTH > LINE_LIMIT
    return None if is_long else Rewritten(mime, part, new)


def _is_attached(part: Part) -> bool:
    return part.header["content-disposition"].strip().lower().startswith("attachment")


def _encoding(part: Part) -> str:
    return part.header["content-transfer-encoding"].strip().lower()


def _decoded(part: Part) -> tuple[str, str] | None:
    """Return the HTML and its charset; None where writing it again would not give the same."""
    raw = part.content[part.start : part.end]
    try:
        match _encoding(part):
            case "base64":
                raw = binascii.a2b_base64(raw)
            case "quoted-printable":
                raw = binascii.a2b_qp(raw)
            case encoding if encoding not in IDENTITY:
                return None
        charset = codec(part.parameter("charset") or "utf-8")
        html = raw.decode(charset)
    except (binascii.Error, LookupError, UnicodeDecodeError):
        return None
    is_plain = MARK not in html and "a".encode(charset) == b"a" and html.encode(charset) == raw
    return (html, charset) if is_plain and html.count("\r\n") == html.count("\n") == html.count("\r") else None


def _plain(pieces: list[bytes], value: bytes) -> bytes:
    return value.join(pieces)


def _quoted(pieces: list[bytes], value: bytes) -> bytes:
    *others, last = (piece.replace(b"\r\n", b"\n") for piece in pieces)
    joint = value + b"=\r\n"
    return b"".join(quoted(piece, goes_on=True) + joint for piece in others) + quoted(last, goes_on=False)


def _base64(pieces: list[bytes], value: bytes) -> bytes:
    encoded = b2a_base64(value.join(pieces), newline=False)
    return b"\r\n".join([encoded[at : at + LINE] for at in range(0, len(encoded), LINE)])


_ENCODINGS: dict[str, Callable[[list[bytes], bytes], bytes]] = {
    **dict.fromkeys(IDENTITY, _plain),
    "quoted-printable": _quoted,
    "base64": _base64,
}
