"""The connections to one site and the parcels that wait for them. Everything here runs in the courier's loop."""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import islice

from mailpush.mail.client import ConnectionLost, Letter, Session, Step
from mailpush.mail.replies import SHUTTING_DOWN, Reply
from mailpush.mail.tls import TlsPolicy
from sending.delivery.dialing import Dialer, Unreachable
from sending.delivery.parcels import Delivery, Parcel

log = logging.getLogger(__name__)

# Mails that are composed together, which takes less time; but the loop does nothing else meanwhile, and they lie in
# memory until connections are free for them.
COMPOSED_AT_ONCE, BYTES_AT_ONCE = 48, 1_000_000
IDLE_SECONDS = 5.0  # a connection waits this long for the next mail

Report = Callable[[Delivery], None]
Key = str  # of a route: mails with the same one may share a connection


@dataclass(frozen=True, slots=True)
class Limits:
    """What a site bears from this process."""

    connections: int
    mails_per_connection: int
    tls: TlsPolicy | None = None  # what its provider demands; None: as our terms say


class Site:
    """Serves the parcels of one site over at most so many connections."""

    def __init__(self, dialer: Dialer, report: Report, *, emptied: Callable[[], object]) -> None:
        self.report = report
        self._dialer = dialer
        self._emptied = emptied
        self._limits = Limits(0, 1)
        self._waiting: dict[Key, deque[Parcel]] = {}  # no key without parcels
        self._connections: set[asyncio.Task[None]] = set()
        self._idle: deque[asyncio.Future[None]] = deque()
        self.wants_messages = True  # the last reply was to a message, not to a recipient

    def allow(self, limits: Limits) -> None:
        self._limits = limits

    def add(self, parcels: Iterable[Parcel]) -> None:
        wanted = 0
        for parcel in parcels:
            self._waiting.setdefault(parcel.route.key, deque()).append(parcel)
            wanted += 1
        while wanted and self._idle:
            idle = self._idle.popleft()
            if not idle.done():
                idle.set_result(None)
                wanted -= 1
        self._connect(wanted)

    def _connect(self, wanted: int) -> None:
        for _ in range(min(wanted, self._limits.connections - len(self._connections))):
            task = asyncio.get_running_loop().create_task(self._serve())
            self._connections.add(task)
            task.add_done_callback(self._ended)

    async def close(self) -> None:
        tasks = list(self._connections)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self._connections.discard(task)
        if self._waiting:  # they came while it was closing
            self._connect(1)
        elif not self._connections:
            self._emptied()

    async def _serve(self) -> None:
        """Be one connection: open it for the first parcel, renew it when spent, close it when idle."""
        link: Link | None = None
        try:
            while parcel := link.ahead if link and link.ahead else await self._next(link):
                if link and not link.may_carry(parcel, self._limits.mails_per_connection):
                    await link.session.close()
                    link = None
                if link is None:
                    link = await self._open(parcel)
                if link is not None and not await link.deliver(parcel):
                    self._put_back(parcel)
                    if link.ahead:
                        self._put_back(link.ahead)
                        link.ahead = None
        finally:
            if link:
                await link.session.close()

    def following(self, link: "Link") -> Parcel | None:
        """Return the parcel that may ride on the end of the one that the link carries now."""
        is_spent = link.session.sent_count >= self._limits.mails_per_connection
        is_too_many = len(self._connections) > self._limits.connections
        return None if is_spent or is_too_many or link.key not in self._waiting else self._pop(link.key)

    def compose(self, parcel: Parcel) -> None:
        """Compose the parcel, and with it some that wait behind it, unless the site turns recipients away.

        They are signed together, and what is not sent need not be signed.

        :raises Exception: it cannot be composed.
        """
        most = min(COMPOSED_AT_ONCE, BYTES_AT_ONCE // (parcel.composer.size + 1)) if self.wants_messages else 1
        behind = islice(self._waiting.get(parcel.route.key, ()), max(most - 1, 0))
        some = [parcel, *(each for each in behind if each.composer is parcel.composer and each.letter is None)]
        now = datetime.now(UTC)
        try:
            letters = parcel.composer.compose([each.message for each in some], now=now)
        except Exception:
            if len(some) == 1:
                raise
            letters = parcel.composer.compose([parcel.message], now=now)
        for each, letter in zip(some, letters, strict=False):
            each.letter = letter

    def _put_back(self, parcel: Parcel) -> None:
        self._waiting.setdefault(parcel.route.key, deque()).appendleft(parcel)

    def _pop(self, key: Key) -> Parcel:
        parcels = self._waiting[key]
        parcel = parcels.popleft()
        if not parcels:
            del self._waiting[key]
        return parcel

    async def _next(self, link: "Link | None") -> Parcel | None:
        """Return the next parcel, one that the connection leads to if there is any; None: it is not needed."""
        if len(self._connections) > self._limits.connections > 0:
            return None
        if not self._waiting and link:
            idle = asyncio.get_running_loop().create_future()
            self._idle.append(idle)
            await asyncio.wait([idle], timeout=IDLE_SECONDS)
            idle.cancel()
        if not self._waiting:
            return None
        return self._pop(link.key if link and link.key in self._waiting else next(iter(self._waiting)))

    async def _open(self, parcel: Parcel) -> "Link | None":
        """Connect for a parcel; where no server lets us in, report it and all that have the same way."""
        began = time.monotonic()
        try:
            session, host = await self._dialer.open(parcel.route, tls=self._limits.tls)
        except Unreachable as unreachable:
            seconds = time.monotonic() - began
            # What a recipients' domain demands holds up its own mail, not that of others at the same site.
            is_about_us = not unreachable.is_untrusted
            failed = Delivery(0, unreachable.reply, str(unreachable), "", None, seconds, is_about_us=is_about_us)
            if unreachable.is_untrusted:
                failed = failed._replace(reply=None)
            for lost in (parcel, *self._waiting.pop(parcel.route.key, ())):
                self.report(failed._replace(message_id=lost.message.pk))
            return None
        return Link(self, session, host, parcel.route.key)


class Link:
    """An open session and where it leads."""

    def __init__(self, site: Site, session: Session, host: str, key: Key) -> None:
        self.session = session
        self.host = host
        self.key = key
        self.ahead: Parcel | None = None  # its commands have gone out with the mail before
        self._site = site

    def may_carry(self, parcel: Parcel, most: int) -> bool:
        """Tell whether the parcel may go over this connection, which carries `most` mails."""
        session = self.session
        return parcel is self.ahead or (parcel.route.key == self.key and session.reusable and session.sent_count < most)

    async def deliver(self, parcel: Parcel) -> bool:
        """Send one parcel and report it; or return False where it wants a fresh connection.

        A server may close a connection between two mails, with 421 or without a word; that is not the second one's
        fault.
        """
        began = time.monotonic()
        is_reused = self.session.sent_count > 0
        self.ahead = None
        if (letter := self._letter(parcel)) is None:
            return True
        reply: Reply | None = None
        problem = ""
        try:
            reply, step, _ = await self.session.transfer(letter, self._letter_ahead)
            self._site.wants_messages = step is Step.END_OF_DATA
            if is_reused and reply.code == SHUTTING_DOWN and step is not Step.END_OF_DATA:
                return False
        except ConnectionLost as lost:
            if is_reused and not lost.during_data:
                return False
            problem = str(lost)
        except Exception as error:  # the letter's seal; the server waits for what will not come
            log.exception("Message %s", parcel.message.pk)
            problem = f"could not be signed: {error!r}"
        seconds = time.monotonic() - began
        self._site.report(Delivery(parcel.message.pk, reply, problem, self.host, self.session.is_encrypted, seconds))
        return True

    def _letter_ahead(self) -> Letter | None:
        """Return what comes next, while the server is busy with what goes now."""
        parcel = self._site.following(self)
        if parcel is None or (letter := self._letter(parcel)) is None:
            return None
        self.ahead = parcel
        return letter

    def _letter(self, parcel: Parcel) -> Letter | None:
        """Return the finished letter; where it cannot be made, that is reported."""
        if parcel.letter is None:
            try:
                self._site.compose(parcel)
            except Exception as error:
                log.exception("Message %s", parcel.message.pk)
                problem = f"could not be composed: {error!r}"
                delivery = Delivery(parcel.message.pk, None, problem, self.host, self.session.is_encrypted, 0.0)
                self._site.report(delivery)
        return parcel.letter
