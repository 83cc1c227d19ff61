"""The one way to ask DNS: every look-up goes to the servers of MAILPUSH_DNS_SERVERS, else to the system's.

In the sandbox the settings name its loopback server, so nothing leaves the machine.

DNSSEC counts where MAILPUSH_DNS_SERVERS names resolvers on this machine or in a private network, which are taken
to validate: the AD flag of any other could be forged on the way (RFC 7672 section 2.1, RFC 6698 section 4).
"""

import ipaddress

import dns.asyncresolver
import dns.flags
import dns.nameserver
from django.conf import settings

Resolver = dns.asyncresolver.Resolver

ASK_AGAIN_AFTER = 2.0  # seconds for one server; the next one, or the same again, is asked then
GIVE_UP_AFTER = 5.0  # seconds for a whole look-up
UDP_PAYLOAD = 1232  # octets; what passes everywhere unfragmented (DNS Flag Day 2020)


def resolver(*, lifetime: float = GIVE_UP_AFTER) -> Resolver:
    """Return a resolver without a cache; it may be used in any event loop."""
    made = Resolver(configure=not settings.MAILPUSH_DNS_SERVERS)
    if settings.MAILPUSH_DNS_SERVERS:
        servers = [
            dns.nameserver.Do53Nameserver("127.0.0.1" if host == "localhost" else host, port)
            for host, port in settings.MAILPUSH_DNS_SERVERS
        ]
        made.nameservers = [*servers]
        if all(ipaddress.ip_address(server.address).is_private for server in servers):
            made.set_flags(dns.flags.RD | dns.flags.AD)  # to be asked for, RFC 6840 section 5.7
    made.timeout, made.lifetime = min(ASK_AGAIN_AFTER, lifetime), lifetime
    made.use_edns(0, payload=UDP_PAYLOAD)
    return made
