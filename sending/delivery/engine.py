"""What a worker process keeps: its courier, its compiled contents, and which lanes it works at the moment."""

import threading

from django.conf import settings
from django.utils import timezone

from mailpush.mail.tls import TlsPolicy
from sending.delivery import claims, routing
from sending.delivery.composing import Composers
from sending.delivery.courier import Courier, Terms
from sending.delivery.lanes import LaneWorker
from sending.models import UNROUTED

SMTP_PORT = 25
SORTED_AT_ONCE = 2000  # messages; their domains are looked up side by side

stopping = threading.Event()  # set when the worker process is asked to end

_composers = Composers()
_busy: set[tuple[str, str]] = set()
_couriers: dict[str, Courier] = {}
_lock = threading.Lock()


def courier(stream: str) -> Courier:
    """Return the process's courier for a stream, started with its first lane.

    The streams share no connections: each has its own source addresses and reputation.
    """
    with _lock:
        if stream not in _couriers:
            _couriers[stream] = Courier(_terms(stream))
        return _couriers[stream]


def stop_couriers() -> None:
    """Close all connections; lanes must have returned."""
    with _lock:
        for each in _couriers.values():
            each.stop()
        _couriers.clear()


def _terms(stream: str) -> Terms:
    pools = settings.MAILPUSH_SOURCE_IPS
    source_ips = tuple(pools.get(stream) or pools.get("default") or ())
    helo = settings.MAILPUSH_MAIL_HOST
    relay = settings.MAILPUSH_RELAY
    if settings.MAILPUSH_DELIVERY != "relay" or relay is None:
        return Terms(helo=helo, port=settings.MAILPUSH_MX_PORT or SMTP_PORT, source_ips=source_ips)
    return Terms(
        helo=helo,
        port=relay.port,
        tls=TlsPolicy(relay.tls),
        source_ips=source_ips,
        user=relay.user,
        password=relay.password,
    )


def work_lane(stream: str, site: str) -> set[str]:
    """Work a lane until nothing is due, its turn is over or it is suspended.

    Returns the sites of lanes that should be woken: this one, where there may be more to do, and
    those that a look-up has filled. A process works a lane once at a time.
    """
    lane = stream, site
    with _lock:
        if lane in _busy:
            return set()
        _busy.add(lane)
    try:
        if site == UNROUTED:
            return _sort_lane(stream)
        worker = LaneWorker(stream, site, courier=courier(stream), composers=_composers, stop=stopping)
        return {site} if worker.work() else set()
    finally:
        with _lock:
            _busy.discard(lane)


def _sort_lane(stream: str) -> set[str]:
    filled: set[str] = set()
    while not stopping.is_set():
        taken = claims.take(stream=stream, site=UNROUTED, enough=SORTED_AT_ONCE, now=timezone.now())
        if not taken:
            break
        filled |= routing.sort_chunks(taken, stream=stream, courier=courier(stream))
    return filled
