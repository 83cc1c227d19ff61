"""What may not stand in the HTML of a mail: mail readers strip it, and filters count it against the sender."""

from collections.abc import Iterator
from html.parser import HTMLParser

FORBIDDEN_TAGS = frozenset(
    [
        *("script", "noscript", "template", "base", "link", "portal", "svg", "math"),
        *("iframe", "frame", "frameset", "object", "embed", "applet"),
        *("form", "input", "button", "select", "textarea"),
    ]
)
LINKS = frozenset(["href", "src", "background", "action", "xlink:href", "formaction"])
SAFE_SCHEMES = ("http:", "https:", "mailto:", "tel:", "cid:", "data:image/")


def problems(html: str) -> list[str]:
    """Return what would not survive in a mail, each as it stands in the source, without repetition."""
    reader = _Reader()
    reader.feed(html)
    reader.close()
    return list(dict.fromkeys(reader.found))


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        if tag in FORBIDDEN_TAGS or (tag == "meta" and values.get("http-equiv", "").lower() == "refresh"):
            self.found.append(f"<{tag}>")
        self.found.extend(_bad_attributes(values))


def _bad_attributes(values: dict[str, str]) -> Iterator[str]:
    for name, value in values.items():
        if name.startswith("on"):
            yield f"{name}="
        scheme = "".join(value.split()).lower()
        if name in LINKS and ":" in scheme.partition("/")[0] and not scheme.startswith(SAFE_SCHEMES):
            yield f'{name}="{value[:40]}"'
