"""Bodies with places to fill in: encoded once, joined for each recipient.

Transfer encoding and canonicalisation of a 5 kB mail take a tenth of what its RSA signature takes; joining ready-made
pieces takes next to nothing. In quoted-printable a soft line break may stand anywhere (RFC 2045 section 6.7), so
each value gets lines of its own, and the literals around it need not be encoded again.
"""

import base64
import hashlib
import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from mailpush.mail import dkim

# Stands as it is in quoted-printable and in a canonical body, on a line with room for the "=" that ends it.
PLAIN = re.compile(r"(?:[!-<>-~]|(?<! ) (?! |$)){0,75}")
SOFT_BREAK = b"=\r\n"
BASE64_LINE = 76  # RFC 2045 section 6.8
LONGEST_WITH_DOT = 73  # a dot takes two more octets when encoded, and the soft break one
BOUNDARY = b"=_mailpush"  # "=_" occurs neither in base64 nor in quoted-printable (RFC 2045 section 6.7)
OTHERS_IN_QUOTED = 6  # one byte in so many may be beyond ASCII; with more of them base64 is shorter

_HIGH = bytes(range(0x80, 0x100))


class Form(Protocol):
    """A text whose `parts` are literals and, at the places named in `slots`, values that `prepare` escapes."""

    @property
    def parts(self) -> Sequence[str]: ...
    @property
    def slots(self) -> Sequence[tuple[int, str]]: ...
    @property
    def prepare(self) -> Callable[[str], str]: ...


class Body:
    """The bodies of one content: text alone, or text and HTML as multipart/alternative (RFC 2046 section 5.1.4)."""

    def __init__(self, text: Form, html: Form | None) -> None:
        self._pieces: list[_Piece]
        if html is None:
            part = _part(text, "plain")
            self.headers = part.headers
            self._pieces = [part, _Literal(b"\r\n")]
            return
        mark = b"--" + BOUNDARY
        plain, rich = _part(text, "plain"), _part(html, "html")
        self.headers = b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n' % BOUNDARY
        self._pieces = [
            _Literal(b"%b\r\n%b\r\n" % (mark, plain.headers)),
            plain,
            _Literal(b"\r\n%b\r\n%b\r\n" % (mark, rich.headers)),
            rich,
            _Literal(b"\r\n%b--\r\n" % mark),
        ]

    def render(self, values: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return the body for one recipient, ending in CRLF, and its hash as `Signer.sign` takes it."""
        wire: list[bytes] = []
        canonical: list[bytes] = []
        for piece in self._pieces:
            piece.add(values, wire, canonical)
        body = b"".join(wire)
        relaxed = b"".join(canonical)
        if relaxed.endswith(b"\r\n\r\n") or relaxed == b"\r\n":
            return body, dkim.body_hash(body)  # lines at the end that relaxed canonicalisation drops
        return body, base64.b64encode(hashlib.sha256(relaxed).digest())


class _Piece(Protocol):
    """A stretch of the body: adds its bytes as they are sent and as they are hashed."""

    def add(self, values: Mapping[str, str], wire: list[bytes], canonical: list[bytes]) -> None: ...


class _Literal:
    def __init__(self, octets: bytes) -> None:
        self._octets = octets

    def add(self, _values: Mapping[str, str], wire: list[bytes], canonical: list[bytes]) -> None:
        wire.append(self._octets)
        canonical.append(self._octets)


class _Quoted:
    """A quoted-printable part."""

    encoding = b"quoted-printable"

    def __init__(self, form: Form, subtype: str) -> None:
        self.headers = _described(subtype, self.encoding)
        self._prepare = form.prepare
        self._slots = form.slots
        self._wire: list[bytes] = []
        filled = {place for place, _ in form.slots}
        last = len(form.parts) - 1
        for place, literal in enumerate(form.parts):
            # What is in a slot's place stands for a value; its literals on both sides leave it lines of its own.
            encoded = b"" if place in filled else _quoted(_lines(literal), goes_on=place != last)
            self._wire.append(encoded)
        # Whole lines without blanks at their ends: this is all of RFC 6376 section 3.4.4 that is left to do.
        self._canonical = [dkim.single_spaces(piece) for piece in self._wire]

    def add(self, values: Mapping[str, str], wire: list[bytes], canonical: list[bytes]) -> None:
        sent, hashed = self._wire.copy(), self._canonical.copy()
        for place, name in self._slots:
            value = self._prepare(values.get(name) or "")
            if PLAIN.fullmatch(value):
                sent[place] = hashed[place] = value.encode() + SOFT_BREAK if value else b""
            else:
                sent[place] = _quoted(_lines(value), goes_on=True)
                hashed[place] = dkim.single_spaces(sent[place])
        wire += sent
        canonical += hashed


class _Base64:
    """A base64 part. Groups of three octets run across literals and values, so it is encoded for each recipient."""

    encoding = b"base64"

    def __init__(self, form: Form, subtype: str) -> None:
        self.headers = _described(subtype, self.encoding)
        self._prepare = form.prepare
        self._slots = form.slots
        self._parts = [_crlf(part) for part in form.parts]

    def add(self, values: Mapping[str, str], wire: list[bytes], canonical: list[bytes]) -> None:
        parts = self._parts.copy()
        for place, name in self._slots:
            parts[place] = _crlf(self._prepare(values.get(name) or ""))
        encoded = b2a_base64(b"".join(parts), newline=False)
        text = b"\r\n".join([encoded[at : at + BASE64_LINE] for at in range(0, len(encoded), BASE64_LINE)])
        wire.append(text)
        canonical.append(text)


def _part(form: Form, subtype: str) -> _Quoted | _Base64:
    """Choose the encoding by the literals: what is mostly ASCII stays readable."""
    literals = "".join(form.parts).encode()
    others = len(literals) - len(literals.translate(None, _HIGH))
    is_readable = others * OTHERS_IN_QUOTED <= len(literals)
    return _Quoted(form, subtype) if is_readable else _Base64(form, subtype)


def _described(subtype: str, encoding: bytes) -> bytes:
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n" % (subtype.encode(), encoding)


def _lines(text: str) -> bytes:
    """Return UTF-8 with LF only, as binascii guesses the line end from the first one it meets."""
    return text.replace("\r\n", "\n").replace("\r", "\n").encode()


def _crlf(text: str) -> bytes:
    """Return UTF-8 with CRLF only, as base64 must hold it (RFC 2046 section 4.1.1)."""
    return _lines(text).replace(b"\n", b"\r\n")


def _quoted(data: bytes, *, goes_on: bool) -> bytes:
    """Encode in quoted-printable; what goes on ends its last line with a soft break, for which it has room."""
    if not goes_on:
        return _dotless(b2a_qp(data, istext=True)).replace(b"\n", b"\r\n")
    encoded = _dotless(b2a_qp(data + b"x", istext=True)[:-1]).replace(b"\n", b"\r\n")
    return encoded + SOFT_BREAK if encoded and not encoded.endswith(b"\n") else encoded


def _dotless(encoded: bytes) -> bytes:
    """Encode dots at line starts, so that nobody has to double them; where the line has no room they stay."""
    return b"\n".join(
        b"=2E" + line[1:] if line.startswith(b".") and len(line) <= LONGEST_WITH_DOT else line
        for line in encoded.split(b"\n")
    )
