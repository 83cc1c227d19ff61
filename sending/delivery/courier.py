"""The network side of delivery: one event loop per process, in a thread of its own.

Lanes hand it parcels and get deliveries back through a callback; it never touches the database. The
connections to a set of mail servers form a pool that outlives chunks, so that the next chunk finds
them open.
"""

import asyncio
import logging
import random
import threading
import time
from collections import deque
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from mailpush.mail.client import ConnectFailed, ConnectionLost, Session, TlsFailed, TlsPolicy, connect
from mailpush.mail.mx import MxHost, Route
from mailpush.mail.replies import Reply
from sending.delivery.composing import Mail

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

CONNECTIONS = 10  # at the same time to one set of mail servers (KumoMTA's default for a site)
MAILS_PER_CONNECTION = 100
IDLE_SECONDS = 5.0  # a connection waits this long for the next mail
UNREACHABLE_SECONDS = 60.0  # servers that could not be reached are left alone this long


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one SMTP conversation ended; without a `reply` no server decided, and `problem` says why.

    `is_about_us`: the server did not let us in at all, so its reply says nothing of the message.
    """

    message_id: int
    reply: Reply | None
    problem: str
    host: str
    tls: bool | None
    seconds: float
    is_about_us: bool = False


Report = Callable[[Delivery], None]


@dataclass(frozen=True, slots=True)
class Parcel:
    """One message on its way: composed when a connection is free for it, reported exactly once."""

    message_id: int
    route: Route
    compose: Callable[[], Mail]
    report: Report


@dataclass(frozen=True, slots=True)
class Terms:
    """How this process introduces itself and where it knocks."""

    helo: str
    port: int
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC
    source_ips: tuple[str, ...] = ()  # one of them per connection; none: the system's choice
    user: str = ""
    password: str = field(default="", repr=False)


class Courier:
    """Runs the loop and the pools. Its public methods may be called from any thread."""

    def __init__(self, terms: Terms) -> None:
        self._terms = terms
        self._pools: dict[tuple[str, ...], Pool] = {}
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="courier", daemon=True)
        self._thread.start()

    def carry(self, parcels: Sequence[Parcel]) -> None:
        """Take parcels; their reports come from the courier's thread."""
        self._loop.call_soon_threadsafe(self._distribute, parcels)

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine in the courier's loop (DNS look-ups) and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """Close idle connections and end the loop; what is under way must have been reported before."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _distribute(self, parcels: Sequence[Parcel]) -> None:
        for parcel in parcels:
            key = tuple(sorted(host.name for host in parcel.route.hosts))
            pool = self._pools.get(key)
            if pool is None:
                pool = self._pools[key] = Pool(self._terms, emptied=partial(self._pools.pop, key, None))
            pool.add(parcel)

    async def _close(self) -> None:
        await asyncio.gather(*(pool.close() for pool in list(self._pools.values())))


class Pool:
    """The connections to one set of mail servers and the parcels that wait for them."""

    def __init__(self, terms: Terms, *, emptied: Callable[[], object]) -> None:
        self._terms = terms
        self._emptied = emptied
        self._waiting: deque[Parcel] = deque()
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self._plain_hosts: set[str] = set()  # their TLS handshake failed; opportunistic means: go without
        self._unreachable_until = 0.0
        self._problem = ""

    def add(self, parcel: Parcel) -> None:
        if time.monotonic() < self._unreachable_until:
            parcel.report(Delivery(parcel.message_id, None, self._problem, "", None, 0.0, is_about_us=True))
            return
        self._waiting.append(parcel)
        while self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                return
        if len(self._connections) < CONNECTIONS:
            task = asyncio.get_running_loop().create_task(self._serve())
            self._connections.add(task)
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        tasks = list(self._connections)
        for idle in self._idle:
            idle.cancel()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        self._leave()

    def _leave(self) -> None:
        """Go when nothing is left to do, but not before an unreachable server may be forgotten."""
        if self._connections or self._waiting:
            return
        wait = self._unreachable_until - time.monotonic()
        if wait > 0:
            asyncio.get_running_loop().call_later(wait, self._leave)
        else:
            self._emptied()

    async def _serve(self) -> None:
        """Be one connection: open it for the first parcel, renew it when spent, close it when idle."""
        link: Link | None = None
        try:
            while parcel := await self._next():
                if link and not link.is_good:
                    await link.session.close()
                    link = None
                if link is None:
                    link = await self._open(parcel)
                if link is not None and not await link.deliver(parcel):
                    self._waiting.appendleft(parcel)
        finally:
            if link:
                await link.session.close()

    async def _next(self) -> Parcel | None:
        if not self._waiting:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await asyncio.wait([idle], timeout=IDLE_SECONDS)
            idle.cancel()
        return self._waiting.popleft() if self._waiting else None

    async def _open(self, parcel: Parcel) -> "Link | None":
        """Connect to the first server that lets us in; report the parcel where none does."""
        began = time.monotonic()
        problems: list[str] = []
        reply: Reply | None = None
        for host in parcel.route.in_order(random.Random()):  # noqa: S311 - sharing load, not keeping secrets
            for address in host.addresses:
                try:
                    return Link(await self._connect(host, address), f"{host.name} [{address}]")
                except ConnectFailed as failed:
                    problems.append(f"{host.name} [{address}]: {failed}")
                    reply = failed.reply or reply
        self._problem = "; ".join(problems)
        self._unreachable_until = time.monotonic() + UNREACHABLE_SECONDS
        seconds = time.monotonic() - began
        for lost in (parcel, *self._waiting):
            lost.report(Delivery(lost.message_id, reply, self._problem, "", None, seconds, is_about_us=True))
        self._waiting.clear()
        return None

    async def _connect(self, host: MxHost, address: str) -> Session:
        policy = TlsPolicy.OFF if host.name in self._plain_hosts else self._terms.tls
        try:
            return await self._dial(host, address, policy)
        except TlsFailed:
            if policy is not TlsPolicy.OPPORTUNISTIC:
                raise
            # Opportunistic (RFC 7435): a broken handshake must not stop the mail.
            self._plain_hosts.add(host.name)
            return await self._dial(host, address, TlsPolicy.OFF)

    async def _dial(self, host: MxHost, address: str, policy: TlsPolicy) -> Session:
        ips = self._terms.source_ips
        session = await connect(
            address,
            self._terms.port,
            helo=self._terms.helo,
            source_ip=random.choice(ips) if ips else None,  # noqa: S311 - sharing load
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


class Link:
    """An open session and where it leads."""

    def __init__(self, session: Session, host: str) -> None:
        self.session = session
        self.host = host

    @property
    def is_good(self) -> bool:
        return self.session.reusable and self.session.sent_count < MAILS_PER_CONNECTION

    async def deliver(self, parcel: Parcel) -> bool:
        """Send one parcel and report it; or return False where it wants a fresh connection.

        A server may close a connection between two mails; that is not the second mail's fault.
        """
        began = time.monotonic()
        is_reused = self.session.sent_count > 0
        reply: Reply | None = None
        problem = ""
        try:
            mail = parcel.compose()
            reply = (await self.session.send(mail.envelope_from, mail.recipient, mail.data)).reply
        except ConnectionLost as lost:
            if is_reused and not lost.during_data:
                return False
            problem = str(lost)
        except Exception as error:
            log.exception("Message %s", parcel.message_id)
            problem = f"could not be composed: {error!r}"
        seconds = time.monotonic() - began
        parcel.report(Delivery(parcel.message_id, reply, problem, self.host, self.session.is_encrypted, seconds))
        return True
