"""Lists of recipients as text tables: what stands in each line of a txt or csv file.

The columns are named by a heading line, or stand in the order of `VARIABLES`. What people's programs
write differently is read as it is meant where that is beyond doubt; every other line is given back
with its problem. Pure: a binary file in, blocks of records out, in memory that does not grow with the file.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import chain
from typing import BinaryIO, NamedTuple

from mailpush.mail.addresses import Address, BadAddress, parse
from mailpush.mail.charsets import FileProblem, NotAList
from mailpush.mail.variables import ADDRESS, LENGTHS, VARIABLES, variable_named

CHUNK = 256 * 1024  # bytes read at a time: some thousands of lines
LONGEST_LINE = 64 * 1024  # characters; a line of a list has some dozens
LONGEST_QUOTE = 10  # lines that one quoted value may run over
SAMPLE_LINES = 50

# The rarer inside of values comes first: it wins where several stand in every line.
SEPARATORS = ("\t", ";", "，", ",")
_ANY_SEPARATOR = re.compile(r"[\t,;，；]")
_QUOTED = re.compile(r'"[^"]*"')
_BRACED = re.compile(r"\{\s*\w+\s*\}")
# "张三丰 先生": a nickname and a salutation in one cell, as in lists typed by hand.
_SALUTATION = re.compile(r"先生|女士|小姐|夫人|太太|老师|[Mm]rs?\.?|[Mm]s\.?|[Mm]iss")
_NAME_AND_SALUTATION = re.compile(rf"(.+?)\s+({_SALUTATION.pattern})")


Piece = tuple[list[str], int, bool]  # whole lines, the number of bytes read with them, and whether they are the last


class Problem(StrEnum):
    """Why a line is refused."""

    NO_ADDRESS = "no_address"
    BAD_ADDRESS = "bad_address"  # detail: why
    TOO_LONG = "too_long"  # detail: the variable
    TOO_MANY_CELLS = "too_many_cells"  # detail: how many
    OPEN_QUOTE = "open_quote"
    UNREADABLE = "unreadable"  # bytes that are not of the file's charset


class Record(NamedTuple):
    """A line that is fine: its number, the address, the variables that have a value."""

    line: int
    address: str
    variables: dict[str, str]


class Reject(NamedTuple):
    line: int
    text: str
    problem: Problem
    detail: str = ""


@dataclass(slots=True)
class Block:
    """What a piece of the file holds; `position` is the number of bytes read with it."""

    position: int = 0
    records: list[Record] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Layout:
    """How a file's lines are built."""

    separator: str
    columns: tuple[str | None, ...]  # the variable of each, None for those nobody asked for
    has_heading: bool
    unused: tuple[str, ...] = ()  # headings that name no variable

    @classmethod
    def of(cls, lines: Sequence[str]) -> "Layout":
        """Judge by the first lines that are not blank.

        :raises NotAList: the heading names columns, but none for the address.
        """
        separator = _separator_of(lines)
        headings = _headings(lines[0], separator)
        names = [variable_named(heading) for heading in headings]
        if not any(names) or any(map(_is_address, headings)):
            return cls(separator, VARIABLES, has_heading=False)
        if ADDRESS not in names:
            raise NotAList(FileProblem.NO_ADDRESS_COLUMN, line=1)
        # A name that comes twice counts once.
        columns = tuple(None if name in names[:index] else name for index, name in enumerate(names))
        unused = tuple(heading for heading, name in zip(headings, columns, strict=True) if heading and not name)
        return cls(separator, columns, has_heading=True, unused=unused)


def read(file: BinaryIO, charset: str) -> tuple[Layout, Iterator[Block]]:
    """Return the file's layout, and its lines block by block, without its heading and blank lines.

    :raises NotAList: no line has anything in it, or the file is no table after all, which the blocks may find out.
    """
    pieces, number = _lines(file, charset), 1
    for piece in pieces:
        lines, filled = piece[0], [line for line in piece[0] if line.strip()]
        if filled:
            break
        number += len(lines)
    else:
        raise NotAList(FileProblem.EMPTY)
    layout = Layout.of(filled[:SAMPLE_LINES])
    if layout.has_heading:
        lines[lines.index(filled[0])] = ""
    return layout, _blocks(Reader(layout), chain([piece], pieces), number)


def _blocks(reader: "Reader", pieces: Iterator[Piece], number: int) -> Iterator[Block]:
    pending: list[str] = []
    for lines, position, is_last in pieces:
        lines[:0] = pending
        block, used = reader.read(lines, number=number, is_last=is_last)
        block.position = position
        number, pending = number + used, lines[used:]
        yield block


class Reader:
    """Lines into records, by one layout."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout
        self.width = len(layout.columns)
        self.address_column = layout.columns.index(ADDRESS)
        self.others = [(name, index) for index, name in enumerate(layout.columns) if name and name != ADDRESS]

    def read(self, lines: list[str], *, number: int, is_last: bool) -> tuple[Block, int]:
        """Return the records of the lines, and how many lines were used: an open quote waits for what follows."""
        block, used = Block(), 0
        for offset, count, cells in self._rows(lines, is_last=is_last):
            used = offset + count
            text = lines[offset] if count == 1 else "\n".join(lines[offset:used])
            if cells is None:
                block.rejects.append(Reject(number + offset, text, Problem.OPEN_QUOTE))
            elif text and not text.isspace():
                found = self._record(number + offset, text, cells)
                if type(found) is Record:
                    block.records.append(found)
                else:
                    block.rejects.append(found)  # type: ignore[arg-type] # mypy does not narrow by type()
        return block, used

    # Lines into cells

    def _rows(self, lines: list[str], *, is_last: bool) -> Iterator[tuple[int, int, list[str] | None]]:
        """Yield where each row begins, how many lines it takes, and its cells; None for a quote that never ends."""
        separator = self.layout.separator
        if not any('"' in line for line in lines):
            for offset, line in enumerate(lines):
                yield offset, 1, line.split(separator)
            return
        try:
            rows = list(self._csv(lines, strict=True))
        except csv.Error:
            rows = []
        if len(rows) == len(lines):  # no value runs over a line's end
            for offset, cells in enumerate(rows):
                yield offset, 1, cells
            return
        yield from self._rows_over_lines(lines, is_last=is_last)

    def _rows_over_lines(self, lines: list[str], *, is_last: bool) -> Iterator[tuple[int, int, list[str] | None]]:
        offset = 0
        while offset < len(lines):
            reader = self._csv([f"{line}\n" for line in lines[offset : offset + LONGEST_QUOTE]], strict=True)
            try:
                cells: list[str] | None = next(reader)
                count = reader.line_num  # type: ignore[attr-defined] # typeshed hides the reader's class
            except csv.Error:
                if not is_last and offset + LONGEST_QUOTE > len(lines):
                    return
                cells, count = self._single(lines[offset]), 1
            yield offset, count, cells
            offset += count

    def _single(self, line: str) -> list[str] | None:
        """Read one line alone, less strictly: text after a closing quote belongs to its value."""
        reader = self._csv([line, ""], strict=False)
        try:
            cells = next(reader)
        except csv.Error:
            return None
        return cells if reader.line_num == 1 else None  # type: ignore[attr-defined]

    def _csv(self, lines: list[str], *, strict: bool) -> Iterator[list[str]]:
        return csv.reader(lines, delimiter=self.layout.separator, skipinitialspace=True, strict=strict)

    # Cells into records

    def _record(self, number: int, text: str, cells: list[str]) -> Record | Reject:
        try:
            address = parse(cells[self.address_column])
        except (BadAddress, IndexError):
            cells = self._meant_cells(text, cells)
            try:
                address = parse(cells[self.address_column])
            except (BadAddress, IndexError) as problem:
                return self._without_address(number, text, cells, problem)
        if len(cells) < self.width:
            cells = self._with_salutation_apart(cells)
        elif len(cells) > self.width and any(map(str.strip, cells[self.width :])):
            return Reject(number, text, Problem.TOO_MANY_CELLS, str(len(cells)))
        if "\ufffd" in text:
            return Reject(number, text, Problem.UNREADABLE)
        variables = self._variables(cells)
        for name, value in variables.items():
            if len(value) > LENGTHS[name]:
                return Reject(number, text, Problem.TOO_LONG, name)
        return Record(number, written(address), variables)

    def _variables(self, cells: list[str]) -> dict[str, str]:
        found = {}
        for name, index in self.others:
            if index < len(cells):
                value = plain(cells[index])
                if value:
                    found[name] = value
        return found

    def _without_address(self, number: int, text: str, cells: list[str], problem: Exception) -> Reject:
        if "\ufffd" in text:
            return Reject(number, text, Problem.UNREADABLE)
        if len(cells) <= self.address_column or not cells[self.address_column].strip():
            return Reject(number, text, Problem.NO_ADDRESS)
        return Reject(number, text, Problem.BAD_ADDRESS, str(problem))

    def _meant_cells(self, text: str, cells: list[str]) -> list[str]:
        """Split a line that does not use the file's separator.

        Spaces count only where they make exactly the cells that the heading names: in any other
        line they may belong to a name.
        """
        if len(cells) > 1:
            return cells
        others = _ANY_SEPARATOR.split(text)
        if len(others) > 1:
            return others
        words = text.split()
        return words if self.layout.has_heading and len(words) == self.width else cells

    def _with_salutation_apart(self, cells: list[str]) -> list[str]:
        if "Gender" not in self.layout.columns:
            return cells
        before = self.layout.columns.index("Gender") - 1
        if not 0 <= before < len(cells) or self.layout.columns[before] == ADDRESS:
            return cells
        both = _NAME_AND_SALUTATION.fullmatch(cells[before].strip())
        if both is None or _SALUTATION.fullmatch("".join(cells[before + 1 : before + 2]).strip()):
            return cells
        return [*cells[:before], both[1], both[2], *cells[before + 1 :]]


def written(address: Address) -> str:
    """Return the address as lists keep it: lower case beyond ASCII, so that a database need only fold ASCII."""
    text = f"{address.local}@{address.domain}"
    return text if text.isascii() else address.key


def plain(value: str) -> str:
    """Return the value trimmed, in one line, without control characters: it may end up in a header."""
    value = value.strip()
    if value.isprintable():
        return value
    return " ".join("".join(char if char >= " " and char != "\x7f" else " " for char in value).split())


def _lines(file: BinaryIO, charset: str) -> Iterator[Piece]:
    decoder = io.IncrementalNewlineDecoder(codecs.getincrementaldecoder(charset)(errors="replace"), translate=True)
    file.seek(0)
    number, position, rest = 1, 0, ""
    while chunk := file.read(CHUNK):
        position += len(chunk)
        text = rest + decoder.decode(chunk)
        lines = (text.removeprefix("\ufeff") if number == 1 else text).split("\n")
        rest = lines.pop()
        number += len(lines)
        if len(rest) > LONGEST_LINE:
            raise NotAList(FileProblem.LINE_TOO_LONG, line=number)
        if lines:
            yield lines, position, False
    yield [*(rest + decoder.decode(b"", final=True)).split("\n")], position, True


def _separator_of(lines: Sequence[str]) -> str:
    """Return the separator that parts the heading's names; without any, the one that stands as often in most lines."""

    def named(separator: str) -> int:
        return sum(1 for cell in _cells(lines[0], separator) if variable_named(cell))

    best = max(SEPARATORS, key=named)
    if named(best) > 1:
        return best
    bare = [_QUOTED.sub("", line) for line in lines]

    def score(separator: str) -> int:
        counts = Counter(line.count(separator) for line in bare if separator in line)
        return max(counts.values(), default=0)

    return max(SEPARATORS, key=score) if any(map(score, SEPARATORS)) else ","


def _headings(line: str, separator: str) -> list[str]:
    """Return the first line's cells; names that only spaces part count one by one."""
    cells = _cells(line, separator)
    words = _BRACED.findall(line) or line.split()
    return words if len(words) > len(cells) and all(map(variable_named, words)) else cells


def _cells(line: str, separator: str) -> list[str]:
    return [cell.strip() for cell in next(csv.reader([line], delimiter=separator, skipinitialspace=True))]


def _is_address(text: str) -> bool:
    try:
        parse(text)
    except BadAddress:
        return False
    return True
