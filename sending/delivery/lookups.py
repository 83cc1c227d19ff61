"""Asking DNS where mail goes, many domains at a time; a slow name server holds up nobody else's mail."""

import asyncio
from collections.abc import Collection, Mapping
from datetime import datetime

from django.conf import settings
from django.utils import timezone

from mailpush.lib import dns
from mailpush.mail.mta_sts import Policy
from mailpush.mail.mx import DnsUnavailable, NoSuchDomain, Resolver, Route, resolve
from sending.delivery import relays, strict_transport
from sending.delivery.courier import Courier

AT_ONCE = 200
PATIENCE = 1.0  # seconds; who answers later is asked for again, and has answered by then

Answer = Route | NoSuchDomain | DnsUnavailable
Found = tuple[Answer, Policy | None]


class Lookups:
    """The look-ups of one process and stream; those that take long go on between two questions."""

    def __init__(self, courier: Courier) -> None:
        self._courier = courier
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._under_way: dict[str, asyncio.Task[Found]] = {}

    def find(self, domains: Collection[str]) -> dict[str, Found]:
        """Return the answers for the domains, and their MTA-STS policies, as far as there are any after PATIENCE."""
        if not domains:
            return {}
        return self._courier.run(self._find(domains, strict_transport.known(domains), now=timezone.now()))

    async def _find(
        self, domains: Collection[str], policies: Mapping[str, Policy], *, now: datetime
    ) -> dict[str, Found]:
        resolver = dns.resolver()
        if relays.are_in_use():
            return dict.fromkeys(domains, (await relays.look_up(resolver), None))
        for domain in domains:
            if domain not in self._under_way:
                work = self._one(domain, policies.get(domain), resolver, now=now)
                self._under_way[domain] = asyncio.get_running_loop().create_task(work)
        await asyncio.wait([self._under_way[domain] for domain in domains], timeout=PATIENCE)
        answered = [domain for domain in domains if self._under_way[domain].done()]
        return {domain: self._under_way.pop(domain).result() for domain in answered}

    async def _one(self, domain: str, policy: Policy | None, resolver: Resolver, *, now: datetime) -> Found:
        async with self._gate:
            try:
                route = await resolve(domain, resolver, port=settings.MAILPUSH_MX_PORT)
                policy = await strict_transport.policy_of(domain, policy, resolver, now=now)
                return strict_transport.hold(domain, route, policy), policy
            except (NoSuchDomain, DnsUnavailable) as problem:
                return problem, policy
