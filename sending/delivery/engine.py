"""What a worker process keeps: a desk for each stream it works, started with its first lane."""

import threading
from collections.abc import Collection

from django.conf import settings
from django.utils import timezone

from mailpush.lib import memory
from sending.delivery import claims, routing
from sending.delivery.desk import Desk
from sending.delivery.dialing import Terms
from sending.models import UNROUTED

# Objects made between two looks for cycles: hundreds of messages are out at a time, and hardly one is in a cycle.
LOOK_FOR_CYCLES_AFTER = 20_000

SORTED_AT_ONCE = 2000  # messages; their domains are looked up side by side

_stopping = threading.Event()
_desks: dict[str, tuple[Desk, threading.Thread]] = {}
_sorting: set[str] = set()
_lock = threading.Lock()


def work(stream: str, sites: Collection[str]) -> set[str]:
    """Have lanes worked: returns at once, save from the lane without a site, whose work is done here.

    Returns the sites of lanes that a look-up has filled, to be woken.
    """
    if _stopping.is_set():
        return set()
    desk = _desk(stream)
    desk.enlist(site for site in sites if site != UNROUTED)
    return _sort_once(desk) if UNROUTED in sites else set()


def _desk(stream: str) -> Desk:
    """Return the process's desk for a stream. The streams share no connections: each has its own source addresses."""
    with _lock:
        if stream not in _desks:
            desk = Desk(stream, terms(stream))
            # Not a daemon: the process ends when it has written down what was out.
            thread = threading.Thread(target=desk.run, name=f"desk-{stream}")
            thread.start()
            _desks[stream] = desk, thread
        return _desks[stream][0]


def settle() -> None:
    """Be ready for long work; it takes half a second, which the first code must not wait for."""
    memory.settle(LOOK_FOR_CYCLES_AFTER)


def begin_to_stop() -> None:
    """Take nothing new; what is on the network is finished meanwhile."""
    _stopping.set()
    for desk, _ in list(_desks.values()):
        desk.begin_to_stop()


def stop() -> None:
    """Finish what is on the network, write it down, close all connections."""
    begin_to_stop()
    for _, thread in list(_desks.values()):
        thread.join()


def terms(stream: str) -> Terms:
    """Return how this process introduces itself for a stream."""
    pools = settings.MAILPUSH_SOURCE_IPS
    source_ips = tuple(pools.get(stream) or pools.get("default") or ())
    return Terms(helo=settings.MAILPUSH_MAIL_HOST, source_ips=source_ips)


def _sort_once(desk: Desk) -> set[str]:
    with _lock:
        if desk.stream in _sorting:
            return set()
        _sorting.add(desk.stream)
    try:
        return sort(desk)
    finally:
        with _lock:
            _sorting.discard(desk.stream)


def sort(desk: Desk) -> set[str]:
    """Look up the destinations of new messages; return the sites of the lanes that they fill."""
    filled: set[str] = set()
    while not _stopping.is_set():
        taken = claims.take(stream=desk.stream, rooms={UNROUTED: SORTED_AT_ONCE}, now=timezone.now(), go_out=False)
        if not taken:
            break
        filled |= routing.sort_chunks(taken, stream=desk.stream, lookups=desk.lookups)
    return filled
