"""Reads a captured mail for the inbox page: headers, bodies, links, attachments. Nothing in it is trusted."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from html.parser import HTMLParser

SHOWN_HEADERS = ("From", "Sender", "To", "Reply-To", "Subject", "Date", "Message-ID", "List-Unsubscribe")
LINK = re.compile(r"https?://[^\s<>\"']+")
TRAILING = ".,;:!?)"  # of the sentence, not of the link


@dataclass(frozen=True, slots=True)
class Link:
    """A link, with the words it stands behind."""

    url: str
    words: str


@dataclass(frozen=True, slots=True)
class Attachment:
    name: str
    content_type: str
    size: int


def parsed(raw: bytes) -> EmailMessage:
    return message_from_bytes(raw, policy=policy.default)


def headers(message: EmailMessage) -> list[tuple[str, str]]:
    """Return what people look at, and the signatures."""
    shown = [(name, _text(message, name)) for name in SHOWN_HEADERS if name in message]
    signatures = [str(value) for value in message.get_all("DKIM-Signature") or []]
    return shown + [("DKIM-Signature", " ".join(value.split())) for value in signatures]


def body(message: EmailMessage, kind: str) -> str:
    """Return the text of the `plain` or `html` part; empty where there is none."""
    part = message.get_body(preferencelist=(kind,))
    if part is None:
        return ""
    payload = part.get_payload(decode=True)
    content = payload if isinstance(payload, bytes) else b""
    try:
        return content.decode(part.get_content_charset("utf-8"), errors="replace")
    except LookupError:
        return content.decode(errors="replace")


def links(message: EmailMessage) -> list[Link]:
    """Return every web link once, those of the text first."""
    found: dict[str, Link] = {}
    for link in (*_text_links(body(message, "plain")), *_html_links(body(message, "html"))):
        found.setdefault(link.url, link)
    return list(found.values())


def attachments(message: EmailMessage) -> list[Attachment]:
    return [
        Attachment(part.get_filename() or "", part.get_content_type(), len(part.get_payload(decode=True) or b""))
        for part in message.iter_attachments()
    ]


def _text(message: EmailMessage, name: str) -> str:
    try:
        return str(message[name])
    except (ValueError, IndexError, AttributeError):  # the parser of the standard library trips over some
        return ""


def _text_links(text: str) -> Iterator[Link]:
    for match in LINK.finditer(text):
        url = match[0].rstrip(TRAILING)
        yield Link(url, url)


def _html_links(html: str) -> list[Link]:
    reader = _LinkReader()
    reader.feed(html)
    reader.close()
    return reader.found


class _LinkReader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: list[Link] = []
        self._url = ""
        self._words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self._url, self._words = dict(attrs).get("href") or "", []

    def handle_data(self, data: str) -> None:
        self._words.append(data)

    def handle_endtag(self, tag: str) -> None:
        if tag == "a" and LINK.fullmatch(self._url):
            words = " ".join("".join(self._words).split())
            self.found.append(Link(self._url, words or self._url))
        if tag == "a":
            self._url = ""
