"""Carrying messages: one event loop in a thread of its own, with connections to each site that are kept and shared.

The database never enters here: parcels come in, deliveries are reported; composing and signing happen in the
loop, when a connection is free for the mail.
"""

import asyncio
import logging
import threading
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

from sending.delivery.dialing import Dialer, Terms
from sending.delivery.greetings import Greetings
from sending.delivery.parcels import Delivery, Parcel
from sending.delivery.sites import Limits, Site

log = logging.getLogger(__name__)

Answer = TypeVar("Answer")

FLUSH_AT = 256  # deliveries …
FLUSH_AFTER = 0.05  # … or seconds since the first, whichever comes first


class Courier:
    """Runs the loop and the sites. Its public methods may be called from any thread."""

    def __init__(self, terms: Terms, report: Callable[[list[Delivery]], None]) -> None:
        """Start the loop.

        :param report: takes deliveries by the handful, in the courier's thread; each parcel is reported once.
        """
        self._terms = terms
        self._greetings = Greetings(terms.helo)
        self._dialers: dict[tuple[str, ...], Dialer] = {}  # by the source addresses that are dedicated to the senders
        self._report = report
        self._sites: dict[tuple[str, tuple[str, ...]], Site] = {}
        self._under_way = 0
        self._done: list[Delivery] = []
        self._flush_timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="courier", daemon=True)
        self._thread.start()

    def carry(self, site: str, parcels: Sequence[Parcel], limits: Limits) -> None:
        """Take parcels for a site, over as many connections as its limits allow from now on."""
        self._loop.call_soon_threadsafe(self._distribute, site, parcels, limits)

    def run(self, work: Coroutine[Any, Any, Answer]) -> Answer:
        """Run a coroutine in the courier's loop (DNS look-ups) and return what it returns."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    def stop(self) -> None:
        """Close idle connections and end the loop; what is under way must have been reported before."""
        asyncio.run_coroutine_threadsafe(self._close(), self._loop).result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _distribute(self, name: str, parcels: Sequence[Parcel], limits: Limits) -> None:
        self._under_way += len(parcels)
        by_source: dict[tuple[str, ...], list[Parcel]] = {}
        for parcel in parcels:
            by_source.setdefault(parcel.composer.source_ips, []).append(parcel)
        for source_ips, some in by_source.items():
            site = self._site(name, source_ips)
            site.allow(limits)
            site.add(some)

    def _site(self, name: str, source_ips: tuple[str, ...]) -> Site:
        key = name, source_ips
        if source_ips not in self._dialers:
            terms = replace(self._terms, source_ips=source_ips or self._terms.source_ips)
            self._dialers[source_ips] = Dialer(terms, self._greetings)
        if key not in self._sites:
            emptied = partial(self._sites.pop, key, None)
            self._sites[key] = Site(self._dialers[source_ips], self._take, emptied=emptied)
        return self._sites[key]

    def _take(self, delivery: Delivery) -> None:
        """Collect deliveries, so that whoever records them is woken once for many.

        Nothing waits once half of what is under way has come back: then the next may go out.
        """
        self._done.append(delivery)
        self._under_way -= 1
        if len(self._done) >= min(FLUSH_AT, self._under_way):
            self._flush()
        elif self._flush_timer is None:
            self._flush_timer = self._loop.call_later(FLUSH_AFTER, self._flush)

    def _flush(self) -> None:
        if self._flush_timer:
            self._flush_timer.cancel()
            self._flush_timer = None
        if self._done:
            done, self._done = self._done, []
            self._report(done)

    async def _close(self) -> None:
        await asyncio.gather(*(site.close() for site in list(self._sites.values())))
        others = asyncio.all_tasks() - {asyncio.current_task()}  # look-ups that nobody waits for any more
        for task in others:
            task.cancel()
        await asyncio.gather(*others, return_exceptions=True)
