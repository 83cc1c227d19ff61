"""Templates compiled to literals and slots, once; rendered by joining, for every recipient.

A variable is written `{UserName}`: braces around one name and nothing else. `{{` and `}}` stand for single
braces. In the CSS of an HTML body (`<style>` elements and `style` attributes) and in comments, braces belong
to CSS: only the exact form of a known variable is one there, and nothing is doubled.
"""

import html as html_escapes
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass

import css_inline

from mailpush.mail.variables import VARIABLES

ALIASES = {"Birth": "Birthday"}  # the manual's list header has it so

TOKEN = re.compile(r"\{\{|\}\}|\{(?P<name>[^\W\d_]\w{0,63})\}|[{}]")
CSS_ZONE = re.compile(
    r"""<!--.*?-->|<style\b.*?</style\s*>|\bstyle\s*=\s*(?:"[^"]*"|'[^']*')""", re.DOTALL | re.IGNORECASE
)
CONTROLS = re.compile(r"[\x00-\x1f\x7f\u0085\u2028\u2029]+")
SHOWN = 20  # characters around a mistake

_inliner = css_inline.CSSInliner(keep_style_tags=True, load_remote_stylesheets=False)


@dataclass(frozen=True, slots=True)
class Mistake:
    """What is wrong with a source, and where: line and column count from 1."""

    kind: str  # "unknown_variable" or "stray_brace"
    text: str  # the variable's name, or the brace
    line: int
    column: int
    around: str


class BadTemplate(ValueError):
    """The source has mistakes; `mistakes` lists them."""

    def __init__(self, mistakes: list[Mistake]) -> None:
        super().__init__("; ".join(f"{mistake.kind} {mistake.text} in line {mistake.line}" for mistake in mistakes))
        self.mistakes = mistakes


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
    source: str, *, escape: bool, allowed: Collection[str] | None = VARIABLES
) -> Compiled:
    """Compile a subject or text (`escape=False`), or an HTML body, whose values are escaped.

    :param allowed: the names that may occur; None for any.
    :raises BadTemplate: it has unknown variables or stray braces.
    """
    parts: list[str] = [""]
    slots: list[tuple[int, str]] = []
    mistakes: list[Mistake] = []
    for piece in _pieces(source, is_html=escape, allowed=allowed):
        if isinstance(piece, Mistake):
            mistakes.append(piece)
        elif isinstance(piece, Slot):
            slots.append((len(parts), piece.name))
            parts += ["", ""]
        else:
            parts[-1] += piece
    if mistakes:
        raise BadTemplate(mistakes)
    return Compiled(tuple(parts), tuple(slots), _escaped if escape else str)


def one_line(text: str) -> str:
    """Return the text as a header may carry it: no line breaks, no control characters."""
    return CONTROLS.sub(" ", text).strip()


def prepare_html(html: str) -> str:
    """Return the body as it is reviewed and sent: a whole document with its styles inlined.

    `<style>` elements stay as well, for media queries. Nothing is fetched.
    """
    return str(_inliner.inline(html))


@dataclass(frozen=True, slots=True)
class Slot:
    name: str


def _pieces(source: str, *, is_html: bool, allowed: Collection[str] | None) -> Iterator[str | Slot | Mistake]:
    zones = [found.span() for found in CSS_ZONE.finditer(source)] if is_html else []
    end = 0
    for token in TOKEN.finditer(source):
        yield source[end : token.start()]
        end = token.end()
        name = ALIASES.get(token["name"] or "", token["name"])
        is_known = name is not None and (allowed is None or name in allowed)
        if _within(token.start(), zones):
            yield Slot(name) if is_known and name in VARIABLES else token[0]
        elif is_known:
            yield Slot(name)
        elif token[0] in {"{{", "}}"}:
            yield token[0][0]
        else:
            yield _mistake(source, token)
    yield source[end:]


def _within(place: int, zones: list[tuple[int, int]]) -> bool:
    """Tell whether the place lies in a zone; zones that lie before it are dropped, as places only grow."""
    while zones and zones[0][1] <= place:
        zones.pop(0)
    return bool(zones) and zones[0][0] <= place


def _mistake(source: str, token: re.Match[str]) -> Mistake:
    start = token.start()
    return Mistake(
        kind="unknown_variable" if token["name"] else "stray_brace",
        text=token["name"] or token[0],
        line=source.count("\n", 0, start) + 1,
        column=start - source.rfind("\n", 0, start),
        around=one_line(source[max(0, start - SHOWN) : token.end() + SHOWN]),
    )


def _escaped(value: str) -> str:
    return html_escapes.escape(value)
