"""The name an address is known by: its PTR record's, where that name leads back to it.

Receivers compare it with the name a connection greets with, and mistrust who has none (RFC 1912 section 2.1;
forward-confirmed reverse DNS, as the `iprev` method of RFC 8601 section 3 has it).
"""

import asyncio
import re
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

import dns.asyncresolver

from mailpush.mail.records import NoAnswer, look_up

Resolver = dns.asyncresolver.Resolver

MOST_NAMES = 10  # looked up for an address; SPF stops there, too (RFC 7208 section 4.6.4)

# Of private use, so that the world sees another address (RFC 1918, 6598 and 4193).
TRANSLATED = [
    ip_network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10", "fc00::/7")
]

_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
# A whole name (RFC 5321 section 2.3.5) of letters, digits and hyphens; DNS itself would hold any octets.
_HOST_NAME = re.compile(rf"(?=.{{1,253}}$)(?:{_LABEL}\.)+{_LABEL}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Reverse:
    """What DNS has for an address, in lower case and in order."""

    names: tuple[str, ...]  # as the PTR records say
    confirmed: tuple[str, ...]  # those that lead back

    def name(self, wanted: str) -> str:
        """Return the confirmed name, the wanted one where there are several; empty where there is none."""
        return wanted if wanted in self.confirmed else next(iter(self.confirmed), "")


async def look_back(address: str, resolver: Resolver) -> Reverse:
    """Look up the names of an address, and whether they lead back to it.

    :raises NoAnswer: DNS did not answer, so that no name is confirmed though one might be.
    """
    ip = ip_address(address)
    records = await look_up(ip.reverse_pointer, "PTR", resolver)
    names = tuple(sorted({record.target.to_text(omit_final_dot=True).lower() for record in records}))
    hosts = [name for name in names if _HOST_NAME.fullmatch(name)][:MOST_NAMES]
    answers = await asyncio.gather(*(_leads_to(name, ip, resolver) for name in hosts))
    confirmed = tuple(name for name, answer in zip(hosts, answers, strict=True) if answer)
    if not confirmed and None in answers:
        raise NoAnswer(hosts[answers.index(None)])
    return Reverse(names, confirmed)


async def _leads_to(name: str, ip: IPv4Address | IPv6Address, resolver: Resolver) -> bool | None:
    """Tell whether a name has this address; None where DNS does not."""
    try:
        records = await look_up(name, address_kind(ip), resolver)
    except NoAnswer:
        return None
    return any(ip_address(record.address) == ip for record in records)


def is_translated(address: str) -> bool:
    """Tell whether it is an address that only a private network knows: what DNS has for it is nothing to the world."""
    ip = ip_address(address)
    return any(ip in network for network in TRANSLATED)


def address_kind(ip: IPv4Address | IPv6Address) -> str:
    """Return the type of record that holds such an address."""
    return "A" if ip.version == 4 else "AAAA"  # noqa: PLR2004 - the Internet Protocol's
