"""Tracked links and the pixel of a mail: made and read here.

A link of a tracked mail is `/t/<message>/<target>`. The first part names the message and is made for every recipient;
the second is the same in all mails of a content: the address it leads to, signed together with the content and the host
it was made for, so that links go on leading there when every row is gone, and nowhere else. Variables stand in it by
their names: whose values they get is for the message to say. `/t/<message>.gif` is the pixel.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date
from urllib.parse import urlsplit

from django.conf import settings
from django.utils.encoding import iri_to_uri

from domains.models import Domain, RecordCheck
from mailpush.lib import tokens
from mailpush.mail import links
from sending.models import Event
from templates_app import rendering
from templates_app.rendering import Compiled

MARK = "\0"  # where the message's token goes: PostgreSQL stores none, so nobody has written it
SLOT = "\0"  # and its name among the variables, which begin with a letter
Reader = Event.Reader

LONGEST_URL = 2000  # characters; some mail programs cut longer ones, so these links stay as they are
NUMBER_BYTES, CONTENT_BYTES = 3, 6
WEB = re.compile(r"https?://[^/?#]", re.IGNORECASE)
IGNORED = re.compile(r"[\t\n\r]")  # in an address, by browsers (URL Living Standard, section 4.4)
AROUND = "".join(map(chr, range(0x21)))  # before and after one


@dataclass(frozen=True, slots=True)
class Link:
    """A link of a content, by its number there; `target` may have variables.

    It leads on at the host it was made for and at our own: nobody's name may vouch for the links of another customer.
    """

    content_id: int
    number: int
    host: str
    target: str

    @property
    def has_variables(self) -> bool:
        return bool(rendering.compile(self.target, escape=False).variables)

    def stands_at(self, host: str) -> bool:
        return host in {self.host, *settings.ALLOWED_HOSTS}

    def leads_to(self, values: Mapping[str, str]) -> str | None:
        """Return the address for these values; None where they leave none of the web's."""
        address = rendering.compile(self.target, escape=False).render(values)
        return iri_to_uri(address) if WEB.match(address) else None


# Writing


def base_url(domain: Domain) -> str:
    """Return where the domain's tracked links lead: to its own host once that is known to lead here."""
    ours = urlsplit(settings.MAILPUSH_PUBLIC_URL)
    host = domain.tracking_host if _verified.filter(domain=domain).exists() else ours.hostname
    return f"{ours.scheme}://{host}{f':{ours.port}' if ours.port else ''}/t/"


def leads_here(host: str) -> bool:
    """Return whether this is the tracking host of a domain, and known to lead here."""
    found = _verified.filter(domain__name=host.partition(".")[2], domain__deleted_at=None).select_related("domain")
    return any(check.domain.tracking_host == host for check in found)


_verified = RecordCheck.objects.filter(kind=RecordCheck.Kind.TRACKING, outcome=RecordCheck.Outcome.PASSED)


def token_of(message_id: int, *, today: date) -> str:
    return tokens.make("track", message_id, today=today)


def compiled(html: str, *, content_id: int, base: str) -> Compiled:
    """Compile an HTML body whose links are tracked; the value of its SLOT is the message's token.

    :raises BadTemplate: it has stray braces.
    """
    source = marked(html, content_id=content_id, base=base, read=_template_target)
    return _with_slots(rendering.compile(source, escape=True))


def marked(html: str, *, content_id: int, base: str, read: Callable[[str], str]) -> str:
    """Return the HTML with tracked links and the pixel, and the MARK wherever the message's token goes.

    :param read: returns what an `href` leads to, as the source of a text with variables.
    """
    number, host = 0, str(urlsplit(base).hostname)

    def link(href: str) -> str | None:
        nonlocal number
        target = IGNORED.sub("", read(href)).strip(AROUND)
        if not WEB.match(target) or target.startswith(f"{settings.MAILPUSH_PUBLIC_URL}/u/"):
            return None
        number += 1
        url = f"{base}{MARK}/{_sealed(Link(content_id, number, host, target))}"
        return url if len(url) <= LONGEST_URL else None

    return links.replaced(html, link=link, ending=f'<img src="{base}{MARK}.gif" width="1" height="1" alt="">')


def plain_target(href: str) -> str:
    """Read an `href` of a body without variables."""
    return rendering.quoted(links.read(href), is_html=False)


def _template_target(href: str) -> str:
    """Read an `href` of a template: a brace that HTML has escaped is none of the template's."""
    try:
        source = rendering.compile(href, escape=False)
    except rendering.BadTemplate:  # it looks like CSS, where braces are single
        return ""
    pieces = [plain_target(part) for part in source.parts]
    for place, name in source.slots:
        pieces[place] = f"{{{name}}}"
    return "".join(pieces)


def _sealed(link: Link) -> str:
    head = link.number.to_bytes(NUMBER_BYTES, "big") + link.content_id.to_bytes(CONTENT_BYTES, "big")
    return tokens.seal("link", head + f"{link.host}/{link.target}".encode())


def _with_slots(form: Compiled) -> Compiled:
    """Return the form with a slot at each MARK."""
    names = dict(form.slots)
    parts: list[str] = []
    slots: list[tuple[int, str]] = []
    for place, part in enumerate(form.parts):
        if place in names:
            slots.append((len(parts), names[place]))
            parts.append("")
            continue
        first, *others = part.split(MARK)
        parts.append(first)
        for other in others:
            slots.append((len(parts), SLOT))
            parts += ["", other]
    return Compiled(tuple(parts), tuple(slots), form.prepare)


# Reading


def message_of(token: str) -> int:
    """Return the id of the message whose link or pixel this is; it never expires.

    :raises tokens.BadToken: it is not one of ours.
    """
    return tokens.read("track", token)


def link_of(sealed: str) -> Link:
    """Return the link that was signed.

    :raises tokens.BadToken: it is not one of ours.
    """
    raw = tokens.unseal("link", sealed)
    number, content_id = raw[:NUMBER_BYTES], raw[NUMBER_BYTES : NUMBER_BYTES + CONTENT_BYTES]
    host, _slash, target = raw[NUMBER_BYTES + CONTENT_BYTES :].decode().partition("/")
    return Link(int.from_bytes(content_id, "big"), int.from_bytes(number, "big"), host, target)


# Who is asking

# Fetches images for its users: Gmail, Yahoo, and Apple's Mail Privacy Protection, which says nothing but this.
PROXIES = re.compile(r"GoogleImageProxy|YahooMailProxy|^Mozilla/5\.0$")
# Scanners of mail gateways, previews of messengers, monitors and scripts.
MACHINES = re.compile(
    r"(?i)(?<!cu)bot\b|crawl|spider|slurp|scan|preview|prefetch|headless|phantomjs|facebookexternalhit|whatsapp"
    r"|barracuda|mimecast|proofpoint|safelinks|trendmicro|symantec|forcepoint|fortinet|sophos|cisco|zscaler|virustotal"
    r"|curl|wget|python|java/|httpclient|libwww|go-http|node-fetch|axios|okhttp|ruby|perl|php|monitor|uptime"
)
PREFETCH_HEADERS = ("Sec-Purpose", "Purpose", "X-Purpose", "X-Moz")


def reader_of(headers: Mapping[str, str]) -> Reader:
    """Return who asks, by what the request says of itself."""
    agent = headers.get("User-Agent", "")
    if any(word in headers.get(name, "").lower() for name in PREFETCH_HEADERS for word in ("prefetch", "preview")):
        return Reader.MACHINE
    if PROXIES.search(agent):
        return Reader.PROXY
    return Reader.MACHINE if not agent or MACHINES.search(agent) else Reader.PERSON
