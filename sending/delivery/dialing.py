"""Opening connections: how we introduce ourselves, which servers are tried, and which are left alone for a while."""

import random
import time
from collections.abc import Hashable
from dataclasses import dataclass

from mailpush.mail.client import ConnectFailed, Session, TlsFailed, connect
from mailpush.mail.mx import MxHost, Route
from mailpush.mail.replies import Reply
from mailpush.mail.tls import TlsPolicy
from sending.delivery.greetings import Greetings

UNREACHABLE_SECONDS = 60.0  # an address that could not be reached is left alone this long

OPPORTUNISTIC = TlsPolicy.OPPORTUNISTIC

CHANCE = random.Random()  # noqa: S311 - sharing load, not keeping secrets


@dataclass(frozen=True, slots=True)
class Terms:
    """How this process introduces itself."""

    helo: str  # from addresses that DNS has no better name for
    source_ips: tuple[str, ...] = ()  # one of them per connection; none: the system's choice


class Unreachable(Exception):
    """No server of a route let us in; `reply` is the last one that said why.

    `is_untrusted`: all that stands in the way is what the recipients' domain demands of its servers' TLS.
    """

    def __init__(self, problem: str, reply: Reply | None, *, is_untrusted: bool) -> None:
        super().__init__(problem)
        self.reply = reply
        self.is_untrusted = is_untrusted


@dataclass(frozen=True, slots=True)
class _Trouble:
    until: float  # on the monotonic clock
    failed: ConnectFailed


class Dialer:
    """Opens connections for one process and stream; remembers who could not be reached."""

    def __init__(self, terms: Terms, greetings: Greetings) -> None:
        self._terms = terms
        self._greetings = greetings
        self._troubles: dict[Hashable, _Trouble] = {}  # by address and door
        self._plain_doors: set[Hashable] = set()  # their TLS handshake failed; opportunistic means: go without

    async def open(self, route: Route, *, tls: TlsPolicy | None = None) -> tuple[Session, str]:
        """Connect to the first server that lets us in; return the session and the server's name and address.

        :param tls: what the site demands where nobody else demands more.
        :raises Unreachable: none does.
        """
        problems: list[str] = []
        reply: Reply | None = None
        is_untrusted = True
        for host in route.in_order(CHANCE):
            for address in host.addresses:
                where = f"{host.name} [{address}]"
                try:
                    return await self._try(host, address, tls), where
                except ConnectFailed as failed:
                    problems.append(f"{where}: {failed}")
                    reply = failed.reply or reply
                    is_untrusted = is_untrusted and host.demand is not None and isinstance(failed, TlsFailed)
        raise Unreachable("; ".join(problems), reply, is_untrusted=is_untrusted)

    async def _try(self, host: MxHost, address: str, tls: TlsPolicy | None) -> Session:
        place = address, host.door
        trouble = self._troubles.get(place)
        if trouble and time.monotonic() < trouble.until:
            raise trouble.failed
        try:
            session = await self._connect(host, address, tls if tls and host.tls is OPPORTUNISTIC else host.tls)
        except ConnectFailed as failed:
            self._troubles[place] = _Trouble(time.monotonic() + UNREACHABLE_SECONDS, failed)
            raise
        self._troubles.pop(place, None)
        return session

    async def _connect(self, host: MxHost, address: str, tls: TlsPolicy) -> Session:
        policy = TlsPolicy.OFF if tls is OPPORTUNISTIC and host.door in self._plain_doors else tls
        try:
            return await self._dial(host, address, policy)
        except TlsFailed:
            if host.demand or policy is not OPPORTUNISTIC:
                raise
            # Opportunistic (RFC 7435): a broken handshake must not stop the mail.
            self._plain_doors.add(host.door)
            return await self._dial(host, address, TlsPolicy.OFF)

    async def _dial(self, host: MxHost, address: str, policy: TlsPolicy) -> Session:
        ips = [ip for ip in self._terms.source_ips if (":" in ip) == (":" in address)]
        source_ip = CHANCE.choice(ips) if ips else None
        session = await connect(
            address,
            host.port,
            helo=await self._greetings.name_for(source_ip) if source_ip else self._terms.helo,
            source_ip=source_ip,
            tls=policy,
            demand=host.demand,
            server_name=host.name,
        )
        if host.user:
            try:
                await session.login(host.user, host.password)
            except BaseException:
                await session.close()
                raise
        return session
