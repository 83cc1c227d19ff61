"""Smart hosts that take all our mail. Their logins stay in the settings; the database knows them by name alone."""

import asyncio
from dataclasses import replace

from django.conf import settings

from mailpush.environment import Relay
from mailpush.mail.mx import INCOMPLETE_TTL, DnsUnavailable, MxHost, NoSuchDomain, Resolver, Route, resolve_host
from mailpush.mail.tls import TlsPolicy


def are_in_use() -> bool:
    return bool(settings.MAILPUSH_DELIVERY == "relay")


def names() -> str:
    """Return which relays there are, without their passwords."""
    return ",".join(f"{relay.user}@{relay.host}:{relay.port}" for relay in settings.MAILPUSH_RELAYS)


async def look_up(resolver: Resolver) -> Route | DnsUnavailable:
    """Return the way to the smart hosts that can be found.

    Where none can, that is ours to mend, not the recipients' fault.
    """
    found = await asyncio.gather(*(_route(relay, resolver) for relay in settings.MAILPUSH_RELAYS))
    routes = [route for route in found if isinstance(route, Route)]
    problems = [str(problem) for problem in found if not isinstance(problem, Route)]
    if not routes:
        return DnsUnavailable(f"The relay cannot be found: {' '.join(problems)}")
    ttls = [*(route.ttl for route in routes), *([INCOMPLETE_TTL] if problems else [])]
    return Route(tuple(host for route in routes for host in route.hosts), min(ttls))


async def _route(relay: Relay, resolver: Resolver) -> Route | NoSuchDomain | DnsUnavailable:
    try:
        route = await resolve_host(relay.host, resolver)
    except (NoSuchDomain, DnsUnavailable) as problem:
        return problem
    hosts = (replace(host, name=relay.host, port=relay.port, user=relay.user) for host in route.hosts)
    return Route(tuple(hosts), route.ttl)


def with_login(host: MxHost) -> MxHost:
    """Return a smart host as the settings have it.

    :raises StopIteration: they do not have it, which `names` would have told.
    """
    relay = next(
        each
        for each in settings.MAILPUSH_RELAYS
        if (each.host, each.port, each.user) == (host.name, host.port, host.user)
    )
    return replace(host, tls=TlsPolicy(relay.tls), password=relay.password, weight=relay.weight)
