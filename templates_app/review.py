"""What a reviewer should look at: hints from the body, and what differs from the approved version.

Hints only. What must not be sent is refused when the author saves (`hygiene`).
"""

import difflib
import ipaddress
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from urllib.parse import urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from templates_app.models import ApprovedVersion, Template

GMAIL_CLIPS_AT = 102 * 1024  # bytes of HTML
TEXT_FOR_AN_IMAGE = 40  # characters; mail that is all images looks to filters like mail that hides its words
LOOKS_LIKE_ADDRESS = re.compile(r"(?:https?://)?((?:[\w-]+\.)+[^\W\d_]{2,})(?:[/?:#]\S*)?", re.IGNORECASE)
NAMES_AN_ADDRESS = re.compile(r"@|\b[\w-]+\.(?:com|cn|net|org|gov|edu|io|co)\b", re.IGNORECASE)
BETWEEN_TAGS = re.compile(r">\s*<")
MOST_LINES = 3000  # difflib compares in quadratic time
NEIGHBOURS = 2  # unchanged lines around a change


@dataclass(frozen=True, slots=True)
class Hint:
    """`is_warning` for what is often a deception or a mistake; else a fact to know."""

    sentence: str
    is_warning: bool = True
    items: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Line:
    """A line of a comparison; `sign` is "+", "-", " " or "@" for a gap."""

    sign: str
    text: str


@dataclass(slots=True)
class Link:
    target: str
    words: str = ""

    @property
    def host(self) -> str:
        """The host as written, with variables; empty where there is none or it is malformed."""
        try:
            return urlsplit(self.target).hostname or ""
        except ValueError:
            return ""


@dataclass(slots=True)
class Seen:
    """What stands in a body."""

    links: list[Link] = field(default_factory=list)
    images: list[Link] = field(default_factory=list)
    without_description: int = 0


def hints(template: Template) -> list[Hint]:
    """Return what to look at, warnings first."""
    seen = _read(template.prepared_html)
    found = [*_link_hints(seen.links), *_image_hints(seen, template), *_other_hints(template)]
    return sorted(found, key=lambda hint: not hint.is_warning)


def differences(template: Template) -> list[tuple[str, list[Line]]]:
    """Return what differs from the approved version, part by part; nothing without one."""
    version = template.approved
    if version is None or version.content_hash == template.content_hash:
        return []
    return [(name, _compared(before, after)) for name, before, after in _parts(version, template) if before != after]


def _parts(version: ApprovedVersion, template: Template) -> list[tuple[str, str, str]]:
    return [
        (_("Subject"), version.subject, template.subject),
        (_("Sender name"), version.sender_name, template.sender_name),
        (_("Text part"), version.text, template.plain_text),
        (_("HTML body"), _a_tag_a_line(version.html), _a_tag_a_line(template.prepared_html)),
    ]


def _a_tag_a_line(html: str) -> str:
    """Mail programs' HTML is often one long line; compared, that would say only "different"."""
    return BETWEEN_TAGS.sub(">\n<", html)


def _compared(before: str, after: str) -> list[Line]:
    old, new = before.splitlines(), after.splitlines()
    if max(len(old), len(new)) > MOST_LINES:
        return [Line("@", _("Too long to be compared; look at the whole."))]
    lines = difflib.unified_diff(old, new, lineterm="", n=NEIGHBOURS)
    shown = [Line(line[:1], line[1:]) for line in lines if not line.startswith(("---", "+++"))]
    gaps = [Line("@", "…") if line.sign == "@" else line for line in shown]
    return gaps[1:] if gaps and gaps[0].sign == "@" else gaps


def _link_hints(links: list[Link]) -> Iterator[Hint]:
    web = [link for link in links if link.target.lower().startswith(("http:", "https:"))]
    if hosts := Counter(link.host for link in web if link.host):
        items = tuple(f"{host} ({count})" for host, count in hosts.most_common())
        yield Hint(_("Links lead to:"), is_warning=False, items=items)
    if misleading := [link for link in web if _is_misleading(link)]:
        items = tuple(f"“{link.words}” → {link.target}" for link in misleading)
        yield Hint(_("Links that name one address and lead to another:"), items=items)
    if numbers := sorted({host for host in hosts if _is_odd(host)}):
        yield Hint(_("Hosts that are numbers or look like other letters (xn--):"), items=tuple(numbers))
    if variable := sorted({link.target for link in links if link.target.startswith("{") or "{" in link.host}):
        yield Hint(_("Where these links lead is in the recipient list, not in the template:"), items=tuple(variable))
    if any(link.target.lower().startswith("http:") for link in web):
        yield Hint(_("Some links are not encrypted (http)."), is_warning=False)


def _image_hints(seen: Seen, template: Template) -> Iterator[Hint]:
    if seen.without_description:
        count = seen.without_description
        yield Hint(
            ngettext("%(n)d image has no description.", "%(n)d images have no description.", count) % {"n": count}
        )
    if any(image.target.lower().startswith("http:") for image in seen.images):
        yield Hint(_("Some images are not encrypted (http): many mail readers do not show them."))
    if hosts := sorted({image.host for image in seen.images if image.host}):
        yield Hint(_("Images come from:"), is_warning=False, items=tuple(hosts))
    if seen.images and len(template.plain_text) < len(seen.images) * TEXT_FOR_AN_IMAGE:
        yield Hint(_("Little text for its images: spam filters dislike that."))


def _other_hints(template: Template) -> Iterator[Hint]:
    if NAMES_AN_ADDRESS.search(template.sender_name):
        yield Hint(_("The sender name looks like an address."))
    size = len(template.prepared_html.encode())
    if size > GMAIL_CLIPS_AT:
        yield Hint(_("%(size)d KB of HTML: Gmail cuts it off at 102 KB.") % {"size": size // 1024})
    again = template.reviews.filter(content_hash=template.content_hash, decision=Template.Status.REJECTED)
    if review := again.first():
        yield Hint(_("The very same content was rejected before:"), items=(review.reason,))
    yield Hint(_("A one-click unsubscribe header is added to every mail of a batch."), is_warning=False)


def _is_misleading(link: Link) -> bool:
    """Tell whether the words are an address, of another host than the target's."""
    named = LOOKS_LIKE_ADDRESS.fullmatch(link.words)
    if not named:
        return False
    host, words = link.host.removeprefix("www."), named[1].lower().removeprefix("www.")
    return host != words and not host.endswith(f".{words}")


def _is_odd(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return any(label.startswith("xn--") for label in host.split("."))
    return True


def _read(html: str) -> Seen:
    reader = _Reader()
    reader.feed(html)
    reader.close()
    for link in reader.seen.links:
        link.words = " ".join(link.words.split())
    return reader.seen


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.seen = Seen()
        self._is_in_link = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {name: value or "" for name, value in attrs}
        match tag:
            case "a" | "area" if values.get("href"):
                self.seen.links.append(Link(values["href"].strip()))
                self._is_in_link = tag == "a"
            case "img":
                self.seen.images.append(Link(values.get("src", "").strip()))
                # An empty one is right for decoration: readers pass over it in silence.
                self.seen.without_description += "alt" not in values

    def handle_endtag(self, tag: str) -> None:
        if tag == "a":
            self._is_in_link = False

    def handle_data(self, data: str) -> None:
        if self._is_in_link:
            self.seen.links[-1].words += data
