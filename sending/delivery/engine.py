"""What a worker process keeps: its courier, its compiled contents, and which lanes it works at the moment."""

import threading
from functools import cache

from django.conf import settings
from django.utils import timezone

from sending.delivery import claims, routing
from sending.delivery.composing import Composers
from sending.delivery.courier import Courier, Terms
from sending.delivery.lanes import LaneWorker
from sending.models import UNROUTED

SORTED_AT_ONCE = 2000  # messages; their domains are looked up side by side

stopping = threading.Event()  # set when the worker process is asked to end

_composers = Composers()
_busy: set[tuple[str, str]] = set()
_busy_lock = threading.Lock()


@cache
def courier() -> Courier:
    """Return the process's courier, started with the first lane."""
    return Courier(Terms(helo=settings.MAILPUSH_MAIL_HOST, port=routing.mail_port()))


def work_lane(stream: str, site: str) -> set[str]:
    """Work a lane until nothing is due, its turn is over or it is suspended.

    Returns the sites of lanes that should be woken: this one, where there may be more to do, and
    those that a look-up has filled. A process works a lane once at a time.
    """
    lane = stream, site
    with _busy_lock:
        if lane in _busy:
            return set()
        _busy.add(lane)
    try:
        if site == UNROUTED:
            return _sort_lane(stream)
        worker = LaneWorker(stream, site, courier=courier(), composers=_composers, stop=stopping)
        return {site} if worker.work() else set()
    finally:
        with _busy_lock:
            _busy.discard(lane)


def _sort_lane(stream: str) -> set[str]:
    filled: set[str] = set()
    while not stopping.is_set():
        taken = claims.take(stream=stream, site=UNROUTED, enough=SORTED_AT_ONCE, now=timezone.now())
        if not taken:
            break
        filled |= routing.sort_chunks(taken, stream=stream, courier=courier())
    return filled
