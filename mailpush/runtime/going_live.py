"""What DNS must say of this installation before others take its mail, for `manage.py check --deploy`.

Receivers look up the address that a connection comes from: its PTR record should lead to the name we greet with, and
that name back to the address (RFC 1912 section 2.1; Gmail, Outlook and QQ refuse or defer mail without it). From the
addresses of MAILPUSH_SOURCE_IPS we greet with the name of their own, where they have one. And they look whether SPF,
which customers' domains include from us, passes the address.
"""

import asyncio
import ipaddress
from collections.abc import AsyncIterator, Iterator
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Warning  # noqa: A004 Django's name

from mailpush.lib import dns
from mailpush.mail import spf
from mailpush.mail.records import NoAnswer, look_up, look_up_txt
from mailpush.mail.reverse import address_kind, is_translated, look_back


def names_in_dns(**_options: Any) -> list[CheckMessage]:
    """Return what is missing; in the sandbox nobody looks."""
    return [] if settings.MAILPUSH_DELIVERY == "sandbox" else asyncio.run(_look())


async def _look() -> list[CheckMessage]:
    host, resolver = settings.MAILPUSH_MAIL_HOST, dns.resolver()
    try:
        ours = [record.address for kind in ("A", "AAAA") for record in await look_up(host, kind, resolver)]
        if not ours:
            return [_warning(2, f"{host} has no address.", "Publish A and AAAA records; bounces come to this name.")]
        if settings.MAILPUSH_DELIVERY == "relay":  # the relays are who greets, and whom SPF must pass
            return []
        sources = sorted({ip for pool in settings.MAILPUSH_SOURCE_IPS.values() for ip in pool}) or ours
        found = [message for ip in sources async for message in _of_address(ip, ours, resolver)]
        return found + list(_of_spf(await look_up_txt(settings.MAILPUSH_SPF_INCLUDE, resolver), sources))
    except NoAnswer as error:
        return [_warning(3, str(error), "")]


async def _of_address(ip: str, ours: list[str], resolver: dns.Resolver) -> AsyncIterator[CheckMessage]:
    host = settings.MAILPUSH_MAIL_HOST
    found = await look_back(ip, resolver)
    may_differ = bool(settings.MAILPUSH_SOURCE_IPS) and not is_translated(ip)
    if may_differ and found.confirmed:
        return
    if not found.names:
        yield _warning(4, f"{ip} has no PTR record.", f"Whoever gives you the address can point it to {host}.")
    elif host not in found.names:
        said = f"The PTR record of {ip} says {', '.join(found.names)}."
        if may_differ:
            kind = address_kind(ipaddress.ip_address(ip))
            yield _warning(5, said, f"Publish an {kind} record of that name: {ip}. Until then we greet as {host}.")
            return
        yield _warning(5, said, f"It should say {host}, as we greet.")
    if ip not in ours:
        yield _warning(6, f"{host} does not lead to {ip}, from which mail leaves.", "Add it to the A or AAAA records.")


def _of_spf(records: list[str], sources: list[str]) -> Iterator[CheckMessage]:
    name = settings.MAILPUSH_SPF_INCLUDE
    try:
        terms = [term for record in records if record.lower().startswith("v=spf1 ") for term in spf.parse(name, record)]
    except spf.Faulty as fault:
        yield _warning(7, str(fault), "")
        return
    networks = [ipaddress.ip_network(term.value, strict=False) for term in terms if term.name in {"ip4", "ip6"}]
    if any(term.name not in {"ip4", "ip6", "all"} for term in terms):  # it leads further
        return
    for ip in sources:
        if not any(ipaddress.ip_address(ip) in network for network in networks):
            kind = f"ip{ipaddress.ip_address(ip).version}"
            yield _warning(8, f"SPF at {name} does not pass {ip}.", f"Publish TXT: v=spf1 … {kind}:{ip} … -all")


def _warning(number: int, sentence: str, hint: str) -> Warning:
    return Warning(sentence, hint=hint, id=f"runtime.W{number:03}")
