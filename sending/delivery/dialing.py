"""Opening connections: how we introduce ourselves, which servers are tried, and which are left alone for a while."""

import random
import time
from dataclasses import dataclass, field

from mailpush.mail.client import ConnectFailed, Session, TlsFailed, connect
from mailpush.mail.mx import MxHost, Route
from mailpush.mail.replies import Reply
from mailpush.mail.tls import TlsPolicy

UNREACHABLE_SECONDS = 60.0  # an address that could not be reached is left alone this long

CHANCE = random.Random()  # noqa: S311 - sharing load, not keeping secrets


@dataclass(frozen=True, slots=True)
class Terms:
    """How this process introduces itself and where it knocks."""

    helo: str
    port: int
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    source_ips: tuple[str, ...] = ()  # one of them per connection; none: the system's choice
    user: str = ""
    password: str = field(default="", repr=False)


class Unreachable(Exception):
    """No server of a route let us in; `reply` is the last one that said why."""

    def __init__(self, problem: str, reply: Reply | None) -> None:
        super().__init__(problem)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class _Trouble:
    until: float  # on the monotonic clock
    failed: ConnectFailed


class Dialer:
    """Opens connections for one process and stream; remembers who could not be reached."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._troubles: dict[str, _Trouble] = {}  # by address
        self._plain_hosts: set[str] = set()  # their TLS handshake failed; opportunistic means: go without

    async def open(self, route: Route, *, tls: TlsPolicy | None = None) -> tuple[Session, str]:
        """Connect to the first server that lets us in; return the session and the server's name and address.

        :param tls: what the site demands beyond our terms.
        :raises Unreachable: none does.
        """
        problems: list[str] = []
        reply: Reply | None = None
        for host in route.in_order(CHANCE):
            for address in host.addresses:
                where = f"{host.name} [{address}]"
                try:
                    return await self._try(host, address, tls or self._terms.tls), where
                except ConnectFailed as failed:
                    problems.append(f"{where}: {failed}")
                    reply = failed.reply or reply
        raise Unreachable("; ".join(problems), reply)

    async def _try(self, host: MxHost, address: str, tls: TlsPolicy) -> Session:
        trouble = self._troubles.get(address)
        if trouble and time.monotonic() < trouble.until:
            raise trouble.failed
        try:
            session = await self._connect(host, address, tls)
        except ConnectFailed as failed:
            self._troubles[address] = _Trouble(time.monotonic() + UNREACHABLE_SECONDS, failed)
            raise
        self._troubles.pop(address, None)
        return session

    async def _connect(self, host: MxHost, address: str, tls: TlsPolicy) -> Session:
        policy = TlsPolicy.OFF if tls is TlsPolicy.OPPORTUNISTIC and host.name in self._plain_hosts else tls
        try:
            return await self._dial(host, address, policy)
        except TlsFailed:
            if policy is not TlsPolicy.OPPORTUNISTIC:
                raise
            # Opportunistic (RFC 7435): a broken handshake must not stop the mail.
            self._plain_hosts.add(host.name)
            return await self._dial(host, address, TlsPolicy.OFF)

    async def _dial(self, host: MxHost, address: str, policy: TlsPolicy) -> Session:
        ips = [ip for ip in self._terms.source_ips if (":" in ip) == (":" in address)]
        session = await connect(
            address,
            self._terms.port,
            helo=self._terms.helo,
            source_ip=CHANCE.choice(ips) if ips else None,
            tls=policy,
            server_name=host.name,
        )
        if self._terms.user:
            try:
                await session.login(self._terms.user, self._terms.password)
            except BaseException:
                await session.close()
                raise
        return session
