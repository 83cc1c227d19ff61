"""The links of an HTML body, replaced in place; every other character stays as it is. Pure.

Tags are read as browsers read them (HTML Living Standard, section 13.2.5), in one pass that looks at no letter twice:
what a body holds may be anybody's.
"""

import re
from collections.abc import Callable
from html import unescape
from html.entities import html5

OPT_OUT = "data-no-track"  # the attribute of links that are to stay as they are

# A name, and a value in quotes of either kind or in none.
ATTRIBUTE = re.compile(
    r"""[ \t\n\f\r/]*+(?P<name>=?[^ \t\n\f\r/>=]++)"""
    r"""(?:[ \t\n\f\r]*+=[ \t\n\f\r]*+(?:"(?P<double>[^"]*+)"?+|'(?P<single>[^']*+)'?+"""
    r"""|(?P<bare>[^ \t\n\f\r>"'][^ \t\n\f\r>]*+)))?+"""
)
_ATTRIBUTES = f"(?:{re.sub('[?]P<[a-z]+>', '?:', ATTRIBUTE.pattern)})*+"
PIECE = re.compile(
    rf"""
      <!--(?:.*?-->|.*+)
    | <(?P<raw>script|style|textarea|title)(?=[ \t\n\f\r/>])(?:.*?</(?P=raw)|.*+)
    | <a(?=[ \t\n\f\r/])(?P<attributes>{_ATTRIBUTES})[ \t\n\f\r/]*+(?P<end>>?+)
    | (?P<body></body(?=[ \t\n\f\r/>]))
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)

# Character references: in an attribute, a name without its semicolon before "=" or a letter is none.
REFERENCE = re.compile(r"&(?:#(?:[0-9]++|[xX][0-9a-fA-F]++);?|[A-Za-z][A-Za-z0-9]*+(?:;|(?!=)))")


def read(value: str) -> str:
    """Return what the value of an attribute says; unlike `html.unescape`, with `?a=1&copy=2` as browsers read it."""
    return REFERENCE.sub(
        lambda found: unescape(found[0]) if found[0][1] == "#" else html5.get(found[0][1:], found[0]), value
    )


def replaced(html: str, *, link: Callable[[str], str | None], ending: str) -> str:
    """Return the HTML with other links, and with `ending` where its body ends.

    :param link: gets the value of an `href` as it stands there, and returns another one, without quotes, blanks and
        angle brackets; None leaves it as it is.
    """
    pieces: list[str] = []
    done, body_ends = 0, None
    for found in PIECE.finditer(html):
        if found["body"]:
            body_ends = len(pieces), found.start() - done
        place = _href(found) if found["end"] else None
        other = link(html[place[0] : place[1]]) if place else None
        if place and other is not None:
            pieces += [html[done : place[0]], other]
            done = place[1]
    pieces.append(html[done:])
    if body_ends is None:
        return "".join([*pieces, ending])
    number, offset = body_ends
    pieces[number] = pieces[number][:offset] + ending + pieces[number][offset:]
    return "".join(pieces)


def _href(tag: re.Match[str]) -> tuple[int, int] | None:
    """Return where the value of the first `href` begins and ends; None where there is none, or it is to be left."""
    begin, end = tag.span("attributes")
    place = None
    for attribute in ATTRIBUTE.finditer(tag.string, begin, end):
        name = attribute["name"].lower()
        if name == OPT_OUT:
            return None
        group = next((name for name in ("double", "single", "bare") if attribute[name] is not None), None)
        if name == "href" and place is None:
            place = attribute.span(group) if group else (-1, -1)
    return place if place and place[0] >= 0 else None
