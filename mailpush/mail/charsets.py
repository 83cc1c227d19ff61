"""What a list file is written in, judged by its bytes.

Spreadsheets save UTF-8 (with or without a byte order mark), UTF-16 with one, or the computer's own
charset: GB18030 in China. Pure: a seekable binary file in, a codec's name out.
"""

import codecs
import re
from enum import StrEnum
from typing import BinaryIO

import charset_normalizer

CHUNK = 1 << 20
SAMPLE = 64 * 1024  # bytes of lines beyond ASCII; more does not change the guess

_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
    (b"\x84\x31\x95\x33", "gb18030"),
)
_LINES_BEYOND_ASCII = re.compile(rb"[^\r\n]*[\x80-\xff][^\r\n]*")
_UTF8_CHARACTER = re.compile(rb"[\xc2-\xdf][\x80-\xbf]|[\xe0-\xef][\x80-\xbf]{2}|[\xf0-\xf4][\x80-\xbf]{3}")
_BEYOND_ASCII = re.compile(rb"[\x80-\xff]")
# GB18030's common characters (GB 2312) have two high bytes; Latin letters with accents stand between
# ASCII letters, which GB18030 would read as rare characters.
_CHINESE = re.compile(rb"[\xa1-\xf7][\xa1-\xfe]")
_MOSTLY = 0.9


class FileProblem(StrEnum):
    """Why a file is not read at all."""

    EMPTY = "empty"
    EXCEL = "excel"
    ARCHIVE = "archive"
    PDF = "pdf"
    IMAGE = "image"
    BINARY = "binary"
    NO_ADDRESS_COLUMN = "no_address_column"
    LINE_TOO_LONG = "line_too_long"


class NotAList(Exception):
    """A finding about the customer's file: it cannot be read as a list; `line` is set where one is to blame."""

    def __init__(self, problem: FileProblem, *, line: int = 0) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line


_KNOWN_FILES = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", FileProblem.EXCEL),  # the container of .xls
    (b"%PDF-", FileProblem.PDF),
    (b"\x89PNG\r\n", FileProblem.IMAGE),
    (b"\xff\xd8\xff", FileProblem.IMAGE),
    (b"GIF8", FileProblem.IMAGE),
    (b"\x1f\x8b", FileProblem.ARCHIVE),
    (b"Rar!", FileProblem.ARCHIVE),
    (b"7z\xbc\xaf", FileProblem.ARCHIVE),
)


def refuse_other_files(head: bytes) -> None:
    """Look at a file's first bytes, a few thousand of them.

    :raises NotAList: it is empty, or no text file.
    """
    if not head.strip():
        raise NotAList(FileProblem.EMPTY)
    if head.startswith(b"PK\x03\x04"):
        raise NotAList(FileProblem.EXCEL if b"[Content_Types].xml" in head or b"xl/" in head else FileProblem.ARCHIVE)
    for magic, problem in _KNOWN_FILES:
        if head.startswith(magic):
            raise NotAList(problem)
    if b"\0" in head and _marked(head) != "utf-16" and not _unmarked_utf16(head):
        raise NotAList(FileProblem.BINARY)


def detect(file: BinaryIO) -> str:
    """Return the name of the codec that reads the file; it is read from the beginning to the end.

    :raises NotAList: it is empty, or no text file.
    """
    file.seek(0)
    head = file.read(8192)
    refuse_other_files(head)
    found = _marked(head) or _unmarked_utf16(head)
    if found:
        return found
    file.seek(0)
    sample = _beyond_ascii(file)
    return "utf-8" if sample is None else _guess(sample)


def _marked(head: bytes) -> str:
    return next((codec for mark, codec in _BYTE_ORDER_MARKS if head.startswith(mark)), "")


def _unmarked_utf16(head: bytes) -> str:
    """Addresses are ASCII: in UTF-16 much of every other byte is zero."""
    for codec, zeros, others in (("utf-16-le", head[1::2], head[::2]), ("utf-16-be", head[::2], head[1::2])):
        if zeros and zeros.count(0) * 3 > len(zeros) and not others.count(0):
            return codec
    return ""


def _beyond_ascii(file: BinaryIO) -> bytes | None:
    """Return lines to guess by; None where the whole file is UTF-8."""
    decoder = codecs.getincrementaldecoder("utf-8")()
    is_utf8, sample, size = True, [], 0
    while chunk := file.read(CHUNK):
        if chunk.isascii() and is_utf8 and not decoder.getstate()[0]:
            continue
        is_utf8 = is_utf8 and _decodes(decoder, chunk)
        for line in _LINES_BEYOND_ASCII.finditer(chunk) if size < SAMPLE else ():
            sample.append(line[0][:SAMPLE])
            size += len(sample[-1])
            if size >= SAMPLE:
                break
        if not is_utf8 and size >= SAMPLE:
            break
    return None if is_utf8 and _decodes(decoder, b"", final=True) else b"\n".join(sample)


def _decodes(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> bool:
    try:
        decoder.decode(chunk, final)
    except UnicodeDecodeError:
        return False
    return True


def _guess(sample: bytes) -> str:
    high = len(_BEYOND_ASCII.findall(sample)) or 1
    if sum(map(len, _UTF8_CHARACTER.findall(sample))) > high * _MOSTLY:
        return "utf-8"  # with a few broken bytes: their lines are refused one by one
    if 2 * len(_CHINESE.findall(sample)) > high * _MOSTLY:
        return "gb18030"
    best = charset_normalizer.from_bytes(sample).best()
    return best.encoding if best else "gb18030"
