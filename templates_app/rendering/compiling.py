"""Templates compiled to literals and slots, once; rendered by joining, for every recipient.

A variable is written `{UserName}`: braces around one name and nothing else. `{{` and `}}` stand for single
braces. In the CSS of an HTML body (`<style>` elements and `style` attributes) and in comments, braces belong
to CSS: only the exact form of a known variable is one there, and nothing is doubled.

Everything here takes time in proportion to the source, whatever stands in it: anybody may write a template.
"""

import html as html_escapes
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from mailpush.mail.variables import VARIABLES

ALIASES = {"Birth": "Birthday"}  # the manual's list header has it so

TOKEN = re.compile(r"\{\{|\}\}|\{(?P<name>[^\W\d_]\w{0,63})\}|[{}]")
ZONE_BEGINS = re.compile(r"""<!--|<style\b|\bstyle\s*=\s*(?P<quote>["'])""", re.IGNORECASE)
STYLE_ENDS = re.compile(r"</style", re.IGNORECASE)
CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")
SHOWN = 20  # characters around a mistake
MOST_MISTAKES = 10  # enough to correct at a time


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a source, and where: line and column count from 1."""

    kind: str  # "unknown_variable" or "stray_brace"
    text: str  # the variable's name, or the brace
    line: int
    column: int
    around: str


class BadTemplate(ValueError):
    """The source has mistakes; `mistakes` lists the first of them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(f"{mistake.kind} {mistake.text} in line {mistake.line}" for mistake in mistakes))
        self.mistakes = mistakes


@dataclass(frozen=True, slots=True)
class Slot:
    name: str


@dataclass(frozen=True, slots=True)
class Compiled:
    """Literals with empty places between them for the values of `slots`."""

    parts: tuple[str, ...]
    slots: tuple[tuple[int, str], ...]  # place in `parts`, name
    prepare: Callable[[str], str]

    @property
    def variables(self) -> frozenset[str]:
        return frozenset(name for _, name in self.slots)

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text for one recipient; a missing value is empty."""
        parts = list(self.parts)
        for place, name in self.slots:
            parts[place] = self.prepare(values.get(name) or "")
        return "".join(parts)


def compile(  # noqa: A001 - the word for it
    source: str, *, escape: bool, allowed: Collection[str] | None = None
) -> Compiled:
    """Compile a subject or text (`escape=False`), or an HTML body, whose values are escaped.

    :param allowed: the names that may occur; None for any.
    :raises BadTemplate: it has unknown variables or stray braces.
    """
    pieces = list(_pieces(source, is_html=escape, allowed=allowed))
    mistakes = [piece for piece in pieces if isinstance(piece, Mistake)]
    if mistakes:
        raise BadTemplate(list(islice(mistakes, MOST_MISTAKES)))
    parts: list[str] = []
    slots: list[tuple[int, str]] = []
    literal: list[str] = []
    for piece in pieces:
        if isinstance(piece, Slot):
            slots.append((len(parts) + 1, piece.name))
            parts += ["".join(literal), ""]
            literal = []
        elif isinstance(piece, str):
            literal.append(piece)
    parts.append("".join(literal))
    return Compiled(tuple(parts), tuple(slots), html_escapes.escape if escape else str)


def one_line(text: str) -> str:
    """Return the text as a header may carry it: no line breaks, no control characters."""
    return CONTROLS.sub(" ", text).strip()


def quoted(text: str, *, is_html: bool) -> str:
    """Return the source of a template that shows this text and has no variables.

    In the CSS zones of HTML braces stand as they are: what looks like a variable there is one.
    """
    if not is_html:
        return text.replace("{", "{{").replace("}", "}}")
    pieces = []
    end = 0
    for begin, zone_end in _css_zones(text):
        pieces += [quoted(text[end:begin], is_html=False), text[begin:zone_end]]
        end = zone_end
    return "".join([*pieces, quoted(text[end:], is_html=False)])


def _pieces(source: str, *, is_html: bool, allowed: Collection[str] | None) -> Iterator[str | Slot | Mistake]:
    """Split the source; mistakes beyond those that are shown count as literals, as nobody will render them."""
    zones = _css_zones(source) if is_html else iter(())
    zone = next(zones, None)
    end = mistakes = 0
    for token in TOKEN.finditer(source):
        yield source[end : token.start()]
        end = token.end()
        while zone and zone[1] <= token.start():
            zone = next(zones, None)
        in_css = zone is not None and zone[0] <= token.start()
        piece = _piece(token, in_css=in_css, allowed=allowed)
        if piece is None and mistakes < MOST_MISTAKES:
            mistakes += 1
            yield _mistake(source, token)
        else:
            yield piece or token[0]
    yield source[end:]


def _piece(token: re.Match[str], *, in_css: bool, allowed: Collection[str] | None) -> str | Slot | None:
    """Return what the token stands for; None if it is a mistake."""
    name = ALIASES.get(token["name"] or "", token["name"])
    if in_css:
        # With any name allowed, `a{b}` would be both: there the names everybody has are variables.
        known: Collection[str] = VARIABLES if allowed is None else allowed
        return Slot(name) if name in known else token[0]
    if name is not None and (allowed is None or name in allowed):
        return Slot(name)
    return token[0][0] if token[0] in {"{{", "}}"} else None


def _css_zones(source: str) -> Iterator[tuple[int, int]]:
    """Yield begin and end of comments, `<style>` elements and `style` attributes.

    What is not closed goes on to the end of the source, as it does for browsers.
    """
    end = 0
    while found := ZONE_BEGINS.search(source, end):
        begin, end = found.span()
        if found["quote"]:
            end = _after(source, found["quote"], end)
        elif found[0] == "<!--":
            end = _after(source, "-->", end)
        else:
            closing = STYLE_ENDS.search(source, end)
            end = closing.end() if closing else len(source)
        yield begin, end


def _after(source: str, closing: str, start: int) -> int:
    at = source.find(closing, start)
    return len(source) if at < 0 else at + len(closing)


def _mistake(source: str, token: re.Match[str]) -> Mistake:
    start = token.start()
    return Mistake(
        kind="unknown_variable" if token["name"] else "stray_brace",
        text=token["name"] or token[0],
        line=source.count("\n", 0, start) + 1,
        column=start - source.rfind("\n", 0, start),
        around=one_line(source[max(0, start - SHOWN) : token.end() + SHOWN]),
    )
