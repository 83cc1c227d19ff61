"""Where mail for a domain goes: its mail servers (RFC 5321 section 5.1), what DANE demands of them, and their site."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.flags
import dns.inet
import dns.name
import dns.resolver

from mailpush.mail import dane
from mailpush.mail.addresses import registrable_domain
from mailpush.mail.tls import TlsDemand, TlsPolicy

SMTP_PORT = 25
Resolver = dns.asyncresolver.Resolver

MAX_HOSTS = 10  # nobody needs more, and a hostile zone could name hundreds
LONGEST_TTL = 24 * 60 * 60  # seconds; also for answers that have none
INCOMPLETE_TTL = 60  # seconds, where a part of the route is not known yet

# Providers whose hosts the registrable domain would lump together or tear apart. The patterns are
# those of KumoMTA's shaping rules (policy-extras/shaping.toml, community/shaping.toml) and of the
# providers' own instructions for customers. The first match counts.
SITES = (
    ("*.olc.protection.outlook.com", "olc.protection.outlook.com"),  # outlook.com, hotmail.com
    ("*.mail.protection.outlook.com", "mail.protection.outlook.com"),  # Microsoft 365
    ("*.mx.microsoft", "mail.protection.outlook.com"),  # Microsoft 365 with DANE
    ("*.google.com", "google.com"),  # gmail.com and Workspace
    ("*.googlemail.com", "google.com"),
    ("mxbiz*.qq.com", "exmail.qq.com"),  # Tencent's company mail, apart from qq.com in its limits
    ("*.mxhichina.com", "aliyun"),  # Alibaba's company mail
    ("*.aliyun.com", "aliyun"),
)


@dataclass(frozen=True, slots=True)
class MxHost:
    """One server and all that a connection to it needs.

    `demand` is what its side has published, and counts instead of `tls`. A smart host has a login; those of
    one preference share the load by `weight`.
    """

    name: str
    preference: int
    addresses: tuple[str, ...]
    port: int = SMTP_PORT
    demand: TlsDemand | None = None
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    user: str = ""
    password: str = field(default="", repr=False)
    weight: int = 1

    @property
    def door(self) -> tuple[str, int, str, TlsDemand | None]:
        """Return what must be equal for two domains' mail to share connections."""
        return self.name, self.port, self.user, self.demand


@dataclass(frozen=True, slots=True)
class Route:
    """The servers of a domain, best first, and for how many seconds that may be believed."""

    hosts: tuple[MxHost, ...]
    ttl: int
    key: str = field(init=False, compare=False)  # routes with the same one lead to the same servers

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", " ".join(sorted(repr(host.door) for host in self.hosts)))

    def in_order(self, chance: random.Random) -> list[MxHost]:
        """Return the hosts to try one after the other; those of one preference share the load by weight."""
        # The least of exponential variates falls to each host in proportion to its rate.
        return sorted(self.hosts, key=lambda host: (host.preference, chance.expovariate(host.weight)))


class NoSuchDomain(Exception):
    """The domain takes no mail, and DNS says so: trying again is of no use."""

    def __init__(self, detail: str, *, enhanced_code: str = "5.1.2") -> None:
        super().__init__(detail)
        self.enhanced_code = enhanced_code


class DnsUnavailable(Exception):
    """DNS did not say where the mail goes: try again later."""

    enhanced_code = "4.4.3"


async def resolve(domain: str, resolver: Resolver, *, port: int = SMTP_PORT) -> Route:
    """Look up the mail servers of a domain, with their IPv4 and IPv6 addresses and what DANE demands of them.

    DNSSEC counts where the resolver asks for it (its AD flag) and its servers vouch for an answer. A host whose
    TLSA records cannot be had is left out: it must not be reached without them (RFC 7672 section 2.1.3).

    :param port: the one that is going to be dialed; TLSA records are published by port.
    :raises NoSuchDomain: there is no such name, it has no server, or a null MX (RFC 7505).
    :raises DnsUnavailable: time-out or failure of a name server.
    """
    try:
        name = dns.name.from_text(domain, idna_codec=dns.name.IDNA_2008_UTS_46)
    except dns.exception.DNSException as error:
        raise NoSuchDomain(f"{domain} is not a domain name.") from error
    mx = await _query(name, "MX", resolver)
    exchanges = sorted((record.preference, record.exchange) for record in mx.records)
    servers = [(preference, exchange) for preference, exchange in exchanges if exchange != dns.name.root]
    if exchanges and not servers:
        raise NoSuchDomain(f"{domain} takes no mail (null MX).", enhanced_code="5.1.10")
    # Without an MX the domain is its own mail server.
    servers = servers[:MAX_HOSTS] or [(0, name)]
    vouched_for = name if mx.is_secure else None
    found = await asyncio.gather(
        *(_host(exchange, preference, port, resolver, vouched_for=vouched_for) for preference, exchange in servers)
    )
    hosts = tuple(one.host for one in found if one.host.addresses)
    is_complete = all(one.is_complete for one in found)
    if not hosts and not is_complete:
        raise DnsUnavailable(f"DNS did not answer for the mail servers of {domain}.")
    if not hosts:
        raise NoSuchDomain(f"{domain} has no mail server with an address.")
    ttls = [mx.ttl, *(one.ttl for one in found)]
    return Route(hosts, min(ttls if is_complete else [*ttls, INCOMPLETE_TTL]))


async def resolve_host(host: str, resolver: Resolver) -> Route:
    """Look up the addresses of one named server (a smart host); no MX is asked for.

    :raises NoSuchDomain: it has no address.
    :raises DnsUnavailable: time-out or failure of a name server.
    """
    if dns.inet.is_address(host):
        return Route((MxHost(host, 0, (host,)),), LONGEST_TTL)
    found = await _host(dns.name.from_text(host), 0, SMTP_PORT, resolver)
    if found.host.addresses:
        return Route((found.host,), found.ttl)
    if found.is_complete:
        raise NoSuchDomain(f"{host} has no address.")
    raise DnsUnavailable(f"DNS did not answer for {host}.")


def site_of(hosts: Sequence[MxHost]) -> str:
    """Return the name that all domains at one provider share, so that they share limits and connections.

    It is the provider's from the table, otherwise the domain under which the best host is registered.
    Names that a provider hands out to customers (x.duckdns.org) are sites of their own.
    """
    best = min(hosts, key=lambda host: (host.preference, host.name))
    return _site(best.name)


@lru_cache(maxsize=10_000)
def _site(host: str) -> str:
    for pattern, site in SITES:
        if fnmatchcase(host, pattern):
            return site
    return registrable_domain(host, private=True)


class _Found(NamedTuple):
    host: MxHost
    ttl: int
    is_complete: bool


class _Answer(NamedTuple):
    """Records with their seconds to live; `name` is where they stand, at the end of all aliases."""

    name: dns.name.Name
    records: list[Any]
    ttl: int
    is_secure: bool


async def _host(
    name: dns.name.Name,
    preference: int,
    port: int,
    resolver: Resolver,
    *,
    vouched_for: dns.name.Name | None = None,
) -> _Found:
    """Look up one server.

    :param vouched_for: the domain whose server it is, where DNSSEC says so.
    """
    answers = await asyncio.gather(*(_addresses(name, kind, resolver) for kind in ("A", "AAAA")))
    known = [answer for answer in answers if answer is not None]
    addresses = tuple(record.address for answer in known for record in answer.records)
    ttl = min((answer.ttl for answer in known), default=LONGEST_TTL)
    is_complete = len(known) == len(answers)
    demand = None
    # Asked only where DNSSEC is in use: elsewhere TLSA questions make some name servers stumble (section 2.2.2).
    if vouched_for and addresses and all(answer.is_secure for answer in known):
        bases = dict.fromkeys([*(answer.name for answer in known if answer.records), name])
        try:
            demand, tlsa_ttl = await _demand([*bases], vouched_for, port, resolver)
            ttl = min(ttl, tlsa_ttl)
        except DnsUnavailable:
            addresses, is_complete = (), False
    return _Found(MxHost(_plain(name), preference, addresses, port, demand), ttl, is_complete)


async def _demand(
    bases: list[dns.name.Name], domain: dns.name.Name, port: int, resolver: Resolver
) -> tuple[TlsDemand | None, int]:
    """Return what the TLSA records of a server demand, of the first name that has any (section 2.2.3), and their TTL.

    Records that are all unusable still demand TLS (section 2.2).
    """
    ttl = LONGEST_TTL
    for base in bases:
        try:
            found = await _query(dns.name.from_text(f"_{port}._tcp", base), "TLSA", resolver)
        except NoSuchDomain:
            continue
        ttl = min(ttl, found.ttl)
        if found.records and found.is_secure:
            records = dane.usable(found.records)
            # The domain's own name counts under an authority only (section 3.2.2).
            others = [domain] if any(record.usage == dane.DANE_TA for record in records) else []
            names = dict.fromkeys(_plain(each) for each in (base, *others)) if records else {}
            return TlsDemand("DANE", tuple(names), records), ttl
    return None, ttl


async def _addresses(name: dns.name.Name, kind: str, resolver: Resolver) -> _Answer | None:
    """Return the addresses of one kind; None where DNS did not answer."""
    try:
        return await _query(name, kind, resolver)
    except NoSuchDomain:
        return _Answer(name, [], LONGEST_TTL, is_secure=False)
    except DnsUnavailable:
        return None


async def _query(name: dns.name.Name, kind: str, resolver: Resolver) -> _Answer:
    """Return the records, none where the name has none of this kind."""
    try:
        answer = await resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN as error:
        raise NoSuchDomain(f"{_plain(name)} does not exist.") from error
    except (dns.exception.DNSException, OSError) as error:
        raise DnsUnavailable(f"DNS did not answer for {_plain(name)}.") from error
    asked = bool((resolver.flags or 0) & dns.flags.AD)  # not asked for, it is no more than a bit in a packet
    is_secure = asked and bool(answer.response.flags & dns.flags.AD)
    ttl = min(answer.chaining_result.minimum_ttl, LONGEST_TTL)
    return _Answer(answer.canonical_name, list(answer), ttl, is_secure)


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
