"""Bodies with places to fill in: encoded once, joined for each recipient.

Transfer encoding and canonicalisation of a 5 kB mail take a tenth of what its RSA signature takes; joining ready-made
pieces takes next to nothing. In quoted-printable a soft line break may stand anywhere (RFC 2045 section 6.7), so
each value gets lines of its own, and the literals around it need not be encoded again. What comes out is canonical
already in the sense of relaxed DKIM, and its lines do not start with a dot.
"""

import base64
import hashlib
import re
from binascii import b2a_base64, b2a_qp
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from mailpush.mail import dkim

# Stands as it is in quoted-printable and in a canonical body; shorter than LINE, it has room for the "=" that ends it.
PLAIN = re.compile(r"(?!\.)[!-<>-~]+(?: [!-<>-~]+)*")
SOFT_BREAK = b"=\r\n"
LINE = 76  # RFC 2045 sections 6.7 and 6.8
BOUNDARY = b"=_mailpush"  # "=_" occurs neither in base64 nor in quoted-printable
OTHERS_IN_QUOTED = 6  # one byte in so many may be beyond ASCII; with more of them base64 is shorter

# What relaxed canonicalisation would take away from a line, or SMTP add to it.
UNSTABLE = re.compile(rb"\t|(?<= ) |^\.", re.MULTILINE)

_HIGH = bytes(range(0x80, 0x100))


class Form(Protocol):
    """A text whose `parts` are literals and, at the places named in `slots`, values that `prepare` escapes."""

    @property
    def parts(self) -> Sequence[str]: ...
    @property
    def slots(self) -> Sequence[tuple[int, str]]: ...
    @property
    def prepare(self) -> Callable[[str], str]: ...


def form(fields: bytes, *places: bytes) -> bytes:
    """Return finished header fields as a form for `Head`, in which only these places are ones."""
    fields = fields.replace(b"%", b"%%")
    for place in places:
        fields = fields.replace(b"%%(" + place + b")b", b"%(" + place + b")b")
    return fields


class Head:
    """Header fields with places for values, made canonical once.

    A place is written `%(name)b`, a percent sign of the text twice. The values are canonical but for folds: they have
    no blanks at their ends and no two in a row.
    """

    def __init__(self, form: bytes) -> None:
        self._form = form
        self._canonical = dkim.canonical_headers(form)

    def render(self, values: Mapping[bytes, bytes]) -> tuple[bytes, dkim.CanonicalFields]:
        """Return the fields of one mail, as they are sent and as they are hashed."""
        names, octets = self._canonical
        unfolded = {name: value.replace(b"\r\n ", b" ") for name, value in values.items()}
        return self._form % values, dkim.CanonicalFields(names, octets % unfolded)


class Body:
    """The bodies of one content: text alone, or text and HTML as multipart/alternative (RFC 2046 section 5.1.4)."""

    def __init__(self, text: Form, html: Form | None) -> None:
        self._pieces: list[bytes] = []
        self._places: dict[tuple[str, Callable[[str], str]], list[int]] = {}  # by name and escape of the value
        self._blocks: list[tuple[int, _Base64]] = []
        if html is None:
            self.headers = _described("plain", text)
            self._add(text)
            self._pieces.append(b"\r\n")
            return
        mark = b"--" + BOUNDARY
        self.headers = b'Content-Type: multipart/alternative;\r\n boundary="%b"\r\n' % BOUNDARY
        self._pieces.append(b"%b\r\n%b\r\n" % (mark, _described("plain", text)))
        self._add(text)
        self._pieces.append(b"\r\n%b\r\n%b\r\n" % (mark, _described("html", html)))
        self._add(html)
        self._pieces.append(b"\r\n%b--\r\n" % mark)

    @property
    def size(self) -> int:
        """Return about how many bytes a body has."""
        return sum(map(len, self._pieces)) + sum(block.size for _, block in self._blocks)

    def render(self, values: Mapping[str, str]) -> tuple[bytes, bytes]:
        """Return the body for one recipient, ending in CRLF, and its hash as `Signer.sign` takes it."""
        pieces = self._pieces.copy()
        encoded: dict[str, bytes] = {}
        for (name, escape), places in self._places.items():
            text = escape(values.get(name) or "")
            value = encoded.get(text) or encoded.setdefault(text, _value(text))
            for place in places:
                pieces[place] = value
        for place, block in self._blocks:
            pieces[place] = block.render(values)
        body = b"".join(pieces)
        if body.endswith(b"\r\n\r\n") or body == b"\r\n":
            return body, dkim.body_hash(body)  # lines at the end that relaxed canonicalisation drops
        return body, base64.b64encode(hashlib.sha256(body).digest())

    def _add(self, form: Form) -> None:
        if _is_base64(form):
            self._blocks.append((len(self._pieces), _Base64(form)))
            self._pieces.append(b"")
            return
        first = len(self._pieces)
        for place, name in form.slots:
            self._places.setdefault((name, form.prepare), []).append(first + place)
        last = len(form.parts) - 1
        self._pieces += [quoted(_lines(part), goes_on=place != last) for place, part in enumerate(form.parts)]


class _Base64:
    """A base64 part. Groups of three octets run across literals and values, so it is encoded for each recipient."""

    def __init__(self, form: Form) -> None:
        self._escape = form.prepare
        self._slots = form.slots
        self._parts = [_crlf(part) for part in form.parts]
        self.size = sum(map(len, self._parts)) * 4 // 3

    def render(self, values: Mapping[str, str]) -> bytes:
        parts = self._parts.copy()
        for place, name in self._slots:
            parts[place] = _crlf(self._escape(values.get(name) or ""))
        encoded = b2a_base64(b"".join(parts), newline=False)
        return b"\r\n".join([encoded[at : at + LINE] for at in range(0, len(encoded), LINE)])


def _is_base64(form: Form) -> bool:
    """Choose by the literals: what is mostly ASCII stays readable."""
    literals = "".join(form.parts).encode()
    others = len(literals) - len(literals.translate(None, _HIGH))
    return others * OTHERS_IN_QUOTED > len(literals)


def _described(subtype: str, form: Form) -> bytes:
    encoding = b"base64" if _is_base64(form) else b"quoted-printable"
    return b"Content-Type: text/%b; charset=utf-8\r\nContent-Transfer-Encoding: %b\r\n" % (subtype.encode(), encoding)


def _lines(text: str) -> bytes:
    """Return UTF-8 with LF only, as binascii guesses the line end from the first one it meets."""
    return text.replace("\r\n", "\n").replace("\r", "\n").encode()


def _crlf(text: str) -> bytes:
    """Return UTF-8 with CRLF only, as base64 must hold it (RFC 2046 section 4.1.1)."""
    return _lines(text).replace(b"\n", b"\r\n")


def _value(text: str) -> bytes:
    if len(text) < LINE and PLAIN.fullmatch(text):
        return text.encode() + SOFT_BREAK
    return quoted(_lines(text), goes_on=True)


def quoted(data: bytes, *, goes_on: bool) -> bytes:
    """Encode in quoted-printable; what goes on ends its last line with a soft break, for which it has room."""
    encoded = b2a_qp(data + b"x", istext=True)[:-1] if goes_on else b2a_qp(data, istext=True)
    if UNSTABLE.search(encoded):
        encoded = b"\n".join(map(_stable, encoded.split(b"\n")))
    encoded = encoded.replace(b"\n", b"\r\n")
    return encoded + SOFT_BREAK if goes_on and encoded and not encoded.endswith(b"\n") else encoded


def _stable(line: bytes) -> bytes:
    """Encode what would not stay as it is, and break the line again where that makes it too long."""
    line = UNSTABLE.sub(lambda found: b"=%02X" % ord(found[0]), line)
    pieces = []
    while len(line) >= LINE and not (len(line) == LINE and line.endswith(b"=")):
        at = LINE - 1
        while b"=" in line[at - 2 : at]:  # not inside an encoded octet
            at -= 1
        pieces.append(line[:at] + b"=")
        line = line[at:]
    return b"\n".join([*pieces, line])
