"""Mail from strangers, cut into its parts within bounds (RFC 5322, RFC 2045 to 2047).

The standard library's parser makes an object of every line: ten hostile megabytes cost it minutes and gigabytes.
Reports say what they say near the beginning of few parts, so this one looks there and nowhere else.
"""

import binascii
import codecs
import re
from collections.abc import Iterator
from dataclasses import dataclass
from email.errors import HeaderParseError
from email.header import decode_header

MOST_PARTS = 40
DEEPEST = 6  # multiparts inside one another
MOST_MARKS = 2000  # places that look like a boundary
HEADER_BYTES = 65_536
FIELD_LENGTH = 4096  # characters kept of one field
TEXT_BYTES = 65_536  # read of one part

_END_OF_HEADER = re.compile(rb"\n\r?\n")
_PARAMETER = re.compile(r';\s*([\w*-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^\s;"]*))')
_ESCAPED = re.compile(r"\\(.)")
_NOT_BASE64 = re.compile(rb"[^A-Za-z0-9+/]+")
# Charsets of mail; others (punycode, idna…) are no charsets, and slow on what strangers make up.
_CHARSETS = re.compile(r"(utf|iso8859|cp|koi8|gb|big5|euc|shift|iso2022|mac|hz|ks|ascii|latin|tis)")
_CHINESE = frozenset({"gb2312", "gbk"})  # GB18030 has all their characters and those that writers add


class Header:
    """Header fields by name, unfolded, the first of each name first."""

    def __init__(self, block: bytes) -> None:
        fields: dict[str, list[str]] = {}
        name = ""
        for line in block[:HEADER_BYTES].split(b"\n"):
            text = line.decode("utf-8", "replace").strip()
            if line[:1] in {b" ", b"\t"}:
                if name and len(fields[name][-1]) < FIELD_LENGTH:
                    fields[name][-1] = f"{fields[name][-1]} {text}"[:FIELD_LENGTH]
                continue
            name, colon, value = text.partition(":")
            name = name.strip().lower() if colon else ""
            if name:
                fields.setdefault(name, []).append(value.strip()[:FIELD_LENGTH])
        self._fields = fields

    def __getitem__(self, name: str) -> str:
        """Return the first field of that name; empty text where there is none."""
        return self._fields.get(name, [""])[0]

    def __contains__(self, name: str) -> bool:
        return name in self._fields

    def __bool__(self) -> bool:
        return bool(self._fields)

    def all(self, name: str) -> list[str]:
        return self._fields.get(name, [])

    def readable(self, name: str) -> str:
        """Return the field with its encoded words decoded."""
        return unencoded(self[name])


def unencoded(text: str) -> str:
    """Return text with its encoded words (RFC 2047) decoded; as it is where that fails."""
    if "=?" not in text:
        return text
    try:
        words = decode_header(text)
    except (ValueError, HeaderParseError):
        return text
    return "".join(_decoded(word, charset or "") if isinstance(word, bytes) else word for word, charset in words)


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a mail: where its body stands, and what its header says of it."""

    content: bytes  # the whole mail, not copied
    header: Header
    start: int
    end: int

    @property
    def kind(self) -> str:
        """The media type in lower case; RFC 2045 section 5.2 has a default."""
        value = self.header["content-type"].partition(";")[0].strip().lower()
        return value if "/" in value else "text/plain"

    def parameter(self, name: str) -> str:
        """Return a parameter of Content-Type."""
        for key, quoted, bare in _PARAMETER.findall(self.header["content-type"]):
            if key.lower() == name:
                return _ESCAPED.sub(r"\1", quoted) or bare
        return ""

    def text(self, most: int = TEXT_BYTES) -> str:
        """Return the beginning of the body, decoded, with LF between lines."""
        raw = self.content[self.start : min(self.end, self.start + most * 2)]
        match self.header["content-transfer-encoding"].strip().lower():
            case "base64":
                raw = _from_base64(raw)
            case "quoted-printable":
                raw = binascii.a2b_qp(raw)
        text = _decoded(raw[:most], self.parameter("charset"))
        return text.replace("\r\n", "\n").replace("\0", "\ufffd")

    def embedded_header(self) -> Header:
        """Return the header of the mail that this part holds, or that it is (text/rfc822-headers)."""
        return Header(self.text(HEADER_BYTES).partition("\n\n")[0].encode("utf-8", "replace"))


def parts(content: bytes) -> list[Part]:
    """Return the mail itself and all parts in it, outermost first, within the bounds above."""
    found: list[Part] = []
    _collect(_part(content, 0, len(content)), found, depth=0)
    return found


def _collect(part: Part, found: list[Part], *, depth: int) -> None:
    found.append(part)
    if depth >= DEEPEST or not part.kind.startswith("multipart/"):
        return
    boundary = part.parameter("boundary").encode("utf-8", "replace")
    if not boundary:
        return
    for start, end in _sections(part, b"--" + boundary):
        if len(found) >= MOST_PARTS:
            return
        _collect(_part(part.content, start, end), found, depth=depth + 1)


def _part(content: bytes, start: int, end: int) -> Part:
    limit = min(end, start + HEADER_BYTES)
    if content[start : start + 1] == b"\n" or content[start : start + 2] == b"\r\n":  # no header at all
        return Part(content, Header(b""), content.index(b"\n", start) + 1, end)
    blank = _END_OF_HEADER.search(content, start, limit)
    header_end, body_start = (blank.start(), blank.end()) if blank else (limit, limit)
    return Part(content, Header(content[start:header_end]), body_start, end)


def _sections(part: Part, mark: bytes) -> Iterator[tuple[int, int]]:
    """Yield where each section between two boundaries begins and ends (RFC 2046 section 5.1.1)."""
    content, begins = part.content, -1
    at = part.start if content.startswith(mark, part.start) else content.find(b"\n" + mark, part.start, part.end)
    for _ in range(MOST_MARKS):
        if at < 0:
            break
        line = content.find(b"\n", at + 1, part.end)
        line = part.end if line < 0 else line
        at += content[at : at + 1] == b"\n"
        rest = content[at + len(mark) : min(line, at + len(mark) + 80)].strip()
        if rest in {b"", b"--"}:
            if begins >= 0:
                yield begins, at - 1 - (content[at - 2 : at - 1] == b"\r")
            begins = line + 1
            if rest:
                return
        at = content.find(b"\n" + mark, max(line - 1, at), part.end)
    if 0 <= begins < part.end:  # never closed: what is there counts
        yield begins, part.end


def _from_base64(raw: bytes) -> bytes:
    """Decode as far as it can be: the piece may have been cut anywhere."""
    letters = _NOT_BASE64.sub(b"", raw)
    if len(letters) % 4 == 1:
        letters = letters[:-1]
    return binascii.a2b_base64(letters + b"=" * (-len(letters) % 4))


def codec(charset: str) -> str:
    """Return the name of the codec that reads a charset of mails; empty where it is none."""
    try:
        name = codecs.lookup(charset.strip()).name.replace("-", "")
    except (LookupError, ValueError):
        return ""
    if name in _CHINESE:
        return "gb18030"
    return name if _CHARSETS.match(name) else ""


def _decoded(raw: bytes, charset: str) -> str:
    if name := codec(charset):
        return raw.decode(name, "replace")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        # Chinese servers write GBK without saying so.
        return raw.decode("gb18030" if charset == "" else "utf-8", "replace")
