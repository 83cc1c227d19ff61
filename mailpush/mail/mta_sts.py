"""SMTP MTA Strict Transport Security (RFC 8461): what a domain wants of whoever brings its mail.

A policy lives on through failures to look it up, until its age is over (section 5.1): who can only
disturb DNS or HTTPS cannot make us forget it.
"""

import asyncio
import ipaddress
import re
import ssl
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import dns.asyncresolver
import dns.exception
import dns.name
import h11

from mailpush.mail.records import NoAnswer, look_up, look_up_txt
from mailpush.mail.tls import verifying_context

Resolver = dns.asyncresolver.Resolver

PATH = "/.well-known/mta-sts.txt"
LARGEST_POLICY = 65_536  # octets (section 3.3 suggests 64 kB)
FETCH_TAKES = 10.0  # seconds at most, all in all (section 3.3 suggests a minute; routes wait for this)
LONGEST_AGE = 31_557_600  # seconds, a year (section 3.2)
REFRESH_AFTER = timedelta(days=1)  # a policy in use is fetched again, so that its age starts anew
OK = 200
RECORD = re.compile(r"v=STSv1\s*;(.*)", re.DOTALL)
ID = re.compile(r"[A-Za-z0-9]{1,32}")
MX_PATTERN = re.compile(r"(?:\*\.)?[a-z0-9-]+(?:\.[a-z0-9-]+)*")


class Mode(StrEnum):
    ENFORCE = "enforce"
    TESTING = "testing"  # wants reports, no enforcement
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy as fetched (section 3.2), with the id its domain announced then."""

    id: str
    mode: Mode
    mx: tuple[str, ...]
    max_age: int  # seconds
    fetched_at: datetime

    def is_alive(self, now: datetime) -> bool:
        return now < self.fetched_at + timedelta(seconds=self.max_age)

    def allows(self, host: str) -> bool:
        """Tell whether a mail server is one of the domain's; "*" stands for exactly one label (section 4.1)."""
        _, _, parent = host.lower().partition(".")
        return host.lower() in self.mx or f"*.{parent}" in self.mx


class PolicyUnavailable(Exception):
    """The policy could not be fetched, or is not one."""


@dataclass(frozen=True, slots=True)
class Https:
    """How policies are fetched; the defaults are the protocol's."""

    port: int = 443
    context: ssl.SSLContext | None = None  # none: the public authorities
    may_be_private: bool = False  # whether a policy may be fetched from inside our own network


async def up_to_date(
    domain: str, known: Policy | None, resolver: Resolver, *, now: datetime, https: Https = Https()
) -> Policy | None:
    """Return the policy that holds for a domain now; the known one where nothing newer is to be had.

    :raises PolicyUnavailable: one is announced that cannot be had, and none is known: go on without (section 3.3).
    """
    known = known if known and known.is_alive(now) else None
    try:
        ascii_domain = _ascii(domain)
        announced = announced_id(await look_up_txt(f"_mta-sts.{ascii_domain}", resolver))
    except (NoAnswer, dns.exception.DNSException):
        return known
    if announced is None:
        return known
    if known and known.id == announced and now < known.fetched_at + REFRESH_AFTER:
        return known
    try:
        return parse(await fetch(ascii_domain, resolver, https=https), announced, now=now)
    except PolicyUnavailable:
        if known:
            return known
        raise


def announced_id(texts: list[str]) -> str | None:
    """Return the id from a domain's TXT records; None where they announce no policy, or several (section 3.1)."""
    announcements = [found[1] for text in texts if (found := RECORD.match(text))]
    if len(announcements) != 1:
        return None
    fields = (field.partition("=") for field in announcements[0].split(";"))
    ids = [value.strip() for name, _, value in fields if name.strip() == "id"]
    return ids[0] if ids and ID.fullmatch(ids[0]) else None


def parse(text: str, announced: str, *, now: datetime) -> Policy:
    """Read a policy (section 3.2); what it says twice counts the first time, unknown fields not at all.

    :raises PolicyUnavailable: it is not one.
    """
    pairs = [(name.strip(), value.strip()) for name, _, value in (line.partition(":") for line in text.splitlines())]
    first = dict(reversed(pairs))
    if first.get("version") != "STSv1":
        raise PolicyUnavailable("The MTA-STS policy's version is not STSv1.")
    if first.get("mode") not in set(Mode):
        raise PolicyUnavailable("The MTA-STS policy has no mode that we know.")
    age = first.get("max_age", "")
    if not (age.isascii() and age.isdecimal() and len(age) <= len(str(LONGEST_AGE))):
        raise PolicyUnavailable("The MTA-STS policy has no max_age.")
    mx = tuple(value.lower().removesuffix(".") for name, value in pairs if name == "mx")
    mode = Mode(first["mode"])
    if not all(MX_PATTERN.fullmatch(pattern) for pattern in mx) or (mode is not Mode.NONE and not mx):
        raise PolicyUnavailable("The MTA-STS policy does not name its mail servers.")
    return Policy(announced, mode, mx, min(int(age), LONGEST_AGE), now)


async def fetch(domain: str, resolver: Resolver, *, https: Https = Https()) -> str:
    """Fetch the text of a domain's policy.

    :param domain: in ASCII.
    :raises PolicyUnavailable: no answer in time, a bad certificate, or not a plain 200 with text.
    """
    host = f"mta-sts.{domain}"
    try:
        async with asyncio.timeout(FETCH_TAKES):
            reader, writer = await _connect(host, resolver, https)
            try:
                return await _get(host, reader, writer)
            finally:
                writer.transport.abort()
    except (OSError, NoAnswer, ValueError, h11.ProtocolError) as error:  # a certificate's fault is an OSError
        raise PolicyUnavailable(f"https://{host}{PATH}: {str(error) or 'timed out'}") from error


async def _connect(host: str, resolver: Resolver, https: Https) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    problem: OSError = ConnectionRefusedError("the name has no address that may be asked")
    for kind in ("A", "AAAA"):
        for record in await look_up(host, kind, resolver):
            # Anyone may announce a policy: that must not make us knock at doors inside our own network.
            if not (https.may_be_private or ipaddress.ip_address(record.address).is_global):
                continue
            try:
                return await asyncio.open_connection(
                    record.address, https.port, ssl=https.context or verifying_context(), server_hostname=host
                )
            except OSError as error:
                problem = error
    raise problem


async def _get(host: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> str:
    """Say GET and return the text; redirects are not followed (section 3.3)."""
    talk = h11.Connection(h11.CLIENT)
    headers = [("Host", host), ("Accept", "text/plain"), ("Connection", "close")]
    for event in (h11.Request(method="GET", target=PATH, headers=headers), h11.EndOfMessage()):
        writer.write(talk.send(event) or b"")
    body = bytearray()
    while True:
        match talk.next_event():
            case h11.NEED_DATA:
                talk.receive_data(await reader.read(LARGEST_POLICY))
            case h11.Response() as response:
                _check_answer(response)
            case h11.Data(data=piece) if len(body) + len(piece) <= LARGEST_POLICY:
                body += piece
            case h11.Data():
                raise ValueError("too large")
            case h11.EndOfMessage():
                return body.decode()


def _check_answer(response: h11.Response) -> None:
    kind = dict(response.headers).get(b"content-type", b"").partition(b";")[0].strip().lower()
    if response.status_code != OK or kind != b"text/plain":
        raise ValueError(f"answered {response.status_code} {kind.decode('ascii', 'replace')}".strip())


def _ascii(domain: str) -> str:
    name = dns.name.from_text(domain, idna_codec=dns.name.IDNA_2008_UTS_46)
    return name.to_text(omit_final_dot=True).lower()
