"""Holding mail to what recipients' domains demand by MTA-STS; their policies are kept for all processes.

Where DANE has a demand of a server already, that counts (RFC 8461 section 2).
"""

import logging
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime

from mailpush.mail.mta_sts import Https, Mode, Policy, PolicyUnavailable, up_to_date
from mailpush.mail.mx import DnsUnavailable, Resolver, Route
from mailpush.mail.tls import TlsDemand
from sending.models import StrictTransport

log = logging.getLogger(__name__)

HTTPS = Https()


class StrangeServers(DnsUnavailable):
    """DNS names mail servers that the domain's policy does not: as someone would have it who wants to read the mail."""

    enhanced_code = "4.7.0"


def known(domains: Collection[str]) -> dict[str, Policy]:
    """Return the policies that were fetched before, by domain."""
    return {
        kept.domain: Policy(kept.policy_id, Mode(kept.mode), tuple(kept.mx), kept.max_age, kept.fetched_at)
        for kept in StrictTransport.objects.filter(domain__in=domains)
    }


async def policy_of(domain: str, before: Policy | None, resolver: Resolver, *, now: datetime) -> Policy | None:
    """Return the policy that holds now, looking up whether there is a newer one."""
    try:
        return await up_to_date(domain, before, resolver, now=now, https=HTTPS)
    except PolicyUnavailable as problem:
        log.warning("%s announces an MTA-STS policy that cannot be had, so its mail goes without: %s", domain, problem)
        return None


def hold(domain: str, route: Route, policy: Policy | None) -> Route:
    """Return the route with what the policy demands; servers that it does not name are left out.

    :raises StrangeServers: it names none of them.
    """
    if policy is None or policy.mode is not Mode.ENFORCE:
        return route
    hosts = tuple(
        replace(host, demand=host.demand or TlsDemand("MTA-STS", (host.name,)))
        for host in route.hosts
        if host.demand or policy.allows(host.name)
    )
    if not hosts:
        servers = ", ".join(host.name for host in route.hosts)
        raise StrangeServers(f"The MTA-STS policy of {domain} names none of its mail servers ({servers}).")
    return Route(hosts, route.ttl)


def remember(policies: Mapping[str, Policy]) -> None:
    StrictTransport.objects.bulk_create(
        (
            StrictTransport(
                domain=domain,
                policy_id=policy.id,
                mode=policy.mode,
                mx=list(policy.mx),
                max_age=policy.max_age,
                fetched_at=policy.fetched_at,
            )
            for domain, policy in sorted(policies.items())  # in one order everywhere, against deadlocks
        ),
        update_conflicts=True,
        unique_fields=["domain"],
        update_fields=["policy_id", "mode", "mx", "max_age", "fetched_at"],
    )
