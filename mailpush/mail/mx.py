"""Where mail for a domain goes: its mail servers, and the site they belong to (RFC 5321 section 5.1)."""

import asyncio
import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from functools import lru_cache
from typing import Any, NamedTuple

import dns.asyncresolver
import dns.exception
import dns.inet
import dns.name
import dns.resolver

from mailpush.mail.addresses import registrable_domain

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
    name: str
    preference: int
    addresses: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Route:
    """The servers of a domain, best first, and for how many seconds that may be believed."""

    hosts: tuple[MxHost, ...]
    ttl: int
    key: tuple[str, ...] = field(init=False, compare=False)  # routes with the same one lead to the same servers

    def __post_init__(self) -> None:
        object.__setattr__(self, "key", tuple(sorted(host.name for host in self.hosts)))

    def in_order(self, chance: random.Random) -> list[MxHost]:
        """Return the hosts to try one after the other; those of one preference share the load."""
        return sorted(self.hosts, key=lambda host: (host.preference, chance.random()))


class NoSuchDomain(Exception):
    """The domain takes no mail, and DNS says so: trying again is of no use."""

    def __init__(self, detail: str, *, enhanced_code: str = "5.1.2") -> None:
        super().__init__(detail)
        self.enhanced_code = enhanced_code


class DnsUnavailable(Exception):
    """DNS did not say where the mail goes: try again later."""

    enhanced_code = "4.4.3"


async def resolve(domain: str, resolver: Resolver) -> Route:
    """Look up the mail servers of a domain, with their IPv4 and IPv6 addresses.

    :raises NoSuchDomain: there is no such name, it has no server, or a null MX (RFC 7505).
    :raises DnsUnavailable: time-out or failure of a name server.
    """
    try:
        name = dns.name.from_text(domain, idna_codec=dns.name.IDNA_2008_UTS_46)
    except dns.exception.DNSException as error:
        raise NoSuchDomain(f"{domain} is not a domain name.") from error
    records, ttl = await _query(name, "MX", resolver)
    exchanges = sorted((mx.preference, mx.exchange) for mx in records)
    servers = [(preference, exchange) for preference, exchange in exchanges if exchange != dns.name.root]
    if exchanges and not servers:
        raise NoSuchDomain(f"{domain} takes no mail (null MX).", enhanced_code="5.1.10")
    # Without an MX the domain is its own mail server.
    servers = servers[:MAX_HOSTS] or [(0, name)]
    found = await asyncio.gather(*(_host(exchange, preference, resolver) for preference, exchange in servers))
    hosts = tuple(one.host for one in found if one.host.addresses)
    is_complete = all(one.is_complete for one in found)
    if not hosts and not is_complete:
        raise DnsUnavailable(f"DNS did not answer for the mail servers of {domain}.")
    if not hosts:
        raise NoSuchDomain(f"{domain} has no mail server with an address.")
    ttls = [ttl, *(one.ttl for one in found)]
    return Route(hosts, min(ttls if is_complete else [*ttls, INCOMPLETE_TTL]))


async def resolve_host(host: str, resolver: Resolver) -> Route:
    """Look up the addresses of one named server (a smart host); no MX is asked for.

    :raises NoSuchDomain: it has no address.
    :raises DnsUnavailable: time-out or failure of a name server.
    """
    if dns.inet.is_address(host):
        return Route((MxHost(host, 0, (host,)),), LONGEST_TTL)
    found = await _host(dns.name.from_text(host), 0, resolver)
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


async def _host(name: dns.name.Name, preference: int, resolver: Resolver) -> _Found:
    answers = await asyncio.gather(*(_addresses(name, kind, resolver) for kind in ("A", "AAAA")))
    known = [answer for answer in answers if answer is not None]
    addresses = tuple(address for found, _ in known for address in found)
    ttl = min((seconds for _, seconds in known), default=LONGEST_TTL)
    return _Found(MxHost(_plain(name), preference, addresses), ttl, len(known) == len(answers))


async def _addresses(name: dns.name.Name, kind: str, resolver: Resolver) -> tuple[list[str], int] | None:
    """Return the addresses of one kind with their TTL; None where DNS did not answer."""
    try:
        records, ttl = await _query(name, kind, resolver)
    except NoSuchDomain:
        return [], LONGEST_TTL
    except DnsUnavailable:
        return None
    return [record.address for record in records], ttl


async def _query(name: dns.name.Name, kind: str, resolver: Resolver) -> tuple[list[Any], int]:
    """Return the records, none where the name has none of this kind, and their seconds to live."""
    try:
        answer = await resolver.resolve(name, kind, raise_on_no_answer=False, search=False)
    except dns.resolver.NXDOMAIN as error:
        raise NoSuchDomain(f"{_plain(name)} does not exist.") from error
    except (dns.exception.DNSException, OSError) as error:
        raise DnsUnavailable(f"DNS did not answer for {_plain(name)}.") from error
    return list(answer), min(answer.chaining_result.minimum_ttl, LONGEST_TTL)


def _plain(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower()
