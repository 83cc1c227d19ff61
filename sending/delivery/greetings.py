"""The name that a connection greets with: the one its source address is known by, else the mail host's.

Receivers check that the greeting, the address's PTR record and the addresses of that name agree.
"""

import asyncio
import logging
from dataclasses import dataclass
from ipaddress import ip_address

from django.conf import settings

from mailpush.lib import dns
from mailpush.mail.records import NoAnswer
from mailpush.mail.reverse import Reverse, address_kind, is_translated, look_back

log = logging.getLogger(__name__)

PATIENCE = 2.0  # seconds that the first connection from an address waits for DNS; later ones never do
KNOWN_FOR = 2 * 60 * 60.0  # seconds
ASK_AGAIN_AFTER = 60.0  # seconds, where DNS did not answer


@dataclass(frozen=True, slots=True)
class _Known:
    name: str
    problem: str
    until: float  # on the loop's clock


class Greetings:
    """Knows how to greet from each source address; for one event loop.

    What was known goes on being used while it is looked up anew.
    """

    def __init__(self, mail_host: str) -> None:
        self._mail_host = mail_host
        self._known: dict[str, _Known] = {}
        self._under_way: dict[str, asyncio.Task[None]] = {}

    async def name_for(self, source_ip: str) -> str:
        """Return the name to greet with from this address, after PATIENCE at the latest."""
        if is_translated(source_ip):  # clouds give such an address a name that leads back to it, inside
            return self._mail_host
        loop = asyncio.get_running_loop()
        known = self._known.get(source_ip)
        if known is None or loop.time() >= known.until:
            if source_ip not in self._under_way:
                self._under_way[source_ip] = loop.create_task(self._learn(source_ip))
            if known is None:
                await asyncio.wait([self._under_way[source_ip]])
                known = self._known.get(source_ip)
        return known.name if known else self._mail_host

    async def _learn(self, source_ip: str) -> None:
        before = self._known.get(source_ip)
        try:
            async with asyncio.timeout(PATIENCE):
                found = await look_back(source_ip, dns.resolver(lifetime=PATIENCE))
            name, problem, lasts = found.name(self._mail_host), _problem(source_ip, found), KNOWN_FOR
        except (NoAnswer, TimeoutError):
            name, problem, lasts = before.name if before else "", "DNS did not answer", ASK_AGAIN_AFTER
        finally:
            del self._under_way[source_ip]
        known = _Known(name or self._mail_host, problem, asyncio.get_running_loop().time() + lasts)
        self._known[source_ip] = known
        is_news = before is None or before.problem != problem
        if problem and is_news and settings.MAILPUSH_DELIVERY == "mx":  # a relay greets the world itself
            log.warning("Connections from %s greet as %s: %s", source_ip, known.name, problem)


def _problem(source_ip: str, found: Reverse) -> str:
    """Return what is missing in DNS, and what to do about it; empty where all is well."""
    if found.confirmed:
        return ""
    kind = address_kind(ip_address(source_ip))
    if not found.names:
        return f"it has no PTR record. Publish one, and an {kind} record of the name in it that says {source_ip}"
    names = ", ".join(found.names)
    return f"its PTR record says {names}, which does not lead back. Publish an {kind} record there: {source_ip}"
