"""What may not stand in the HTML of a mail: mail readers strip it, and filters count it against the sender.

It reads the prepared body: well-formed, attributes quoted, character references resolved, as a mail reader sees it.
"""

import re
from collections.abc import Iterator
from html.parser import HTMLParser

FORBIDDEN_TAGS = frozenset(
    {
        *("script", "iframe", "frame", "frameset", "object", "embed", "applet", "portal", "svg", "math", "template"),
        *("noscript", "xmp", "plaintext", "form", "input", "button", "select", "textarea", "base", "link"),
    }
)
VOID_TAGS = frozenset(
    ["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "param", "source", "track", "wbr"]
)
LINKS = frozenset(["href", "src", "background", "action", "xlink:href", "formaction"])
SAFE_SCHEMES = ("http:", "https:", "mailto:", "tel:", "sms:", "cid:", "data:image/")
INVISIBLE = re.compile(r"[\x00-\x20\x7f-\x9f]+")  # browsers pass over them in a scheme
VARIABLE_AS_TAG = re.compile(r"</?\{")
DEEPEST = 256  # nested elements; browsers stop at 512, Outlook and text readers well before
MOST_FOUND = 8  # enough to correct at a time


class TooDeep(ValueError):
    """Elements stand in elements beyond what mail readers follow."""


def problems(prepared: str) -> list[str]:
    """Return what would not survive in a mail, each as it stands in the source, without repetition.

    :raises TooDeep: its elements are nested more than DEEPEST deep.
    """
    reader = _Reader()
    reader.feed(prepared)
    reader.close()
    found = list(dict.fromkeys(reader.found))
    if VARIABLE_AS_TAG.search(prepared):
        found.append("<{…}>")
    return found[:MOST_FOUND]


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []
        self._depth = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag not in VOID_TAGS:
            self._depth += 1
        if self._depth > DEEPEST:
            raise TooDeep
        values = {name: value or "" for name, value in attrs}
        is_refresh = tag == "meta" and values.get("http-equiv", "").strip().lower() == "refresh"
        if tag in FORBIDDEN_TAGS or "{" in tag or is_refresh:
            self.found.append(f"<{tag}>")
        self.found.extend(_bad_attributes(values))

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID_TAGS:
            self._depth -= 1


def _bad_attributes(values: dict[str, str]) -> Iterator[str]:
    for name, value in values.items():
        if name.startswith("on") or "{" in name:
            yield f"{name}="
        target = INVISIBLE.sub("", value).lower()
        if name in LINKS and ":" in target.partition("/")[0] and not target.startswith((*SAFE_SCHEMES, "#", "?")):
            yield f'{name}="{value[:40]}"'
