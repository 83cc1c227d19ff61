"""Which lanes have something due that nobody was sent for."""

from collections.abc import Collection
from datetime import datetime, timedelta

from django.db import connection

from sending.statements import executed

# A wake-up that nobody has taken by then is taken for lost with its broker.
WAKE_UP_LASTS = timedelta(seconds=10)

DISPATCH = """
INSERT INTO sending_lane AS lane (stream, site, dispatched_at, reason)
SELECT DISTINCT c.stream, c.site, %(now)s, ''
FROM sending_chunk c LEFT JOIN sending_batch b ON b.id = c.batch_id
WHERE c.due_at <= %(now)s AND (c.leased_until IS NULL OR c.leased_until < %(now)s)
  AND (b.status IS NULL OR b.status NOT IN ('paused', 'canceled'))
ON CONFLICT (stream, site) DO UPDATE SET dispatched_at = EXCLUDED.dispatched_at
WHERE (lane.dispatched_at IS NULL OR lane.dispatched_at < %(lost)s)
  AND (lane.suspended_until IS NULL OR lane.suspended_until <= %(now)s)
RETURNING stream, site
"""

UNATTENDED = """
SELECT DISTINCT c.site FROM sending_chunk c
LEFT JOIN sending_batch b ON b.id = c.batch_id
LEFT JOIN sending_lane lane ON lane.stream = c.stream AND lane.site = c.site
WHERE c.stream = %(stream)s::text AND c.site <> '' AND c.due_at <= %(now)s::timestamptz
  AND (c.leased_until IS NULL OR c.leased_until < %(now)s::timestamptz)
  AND (b.status IS NULL OR b.status NOT IN ('paused', 'canceled'))
  AND (lane.suspended_until IS NULL OR lane.suspended_until <= %(now)s::timestamptz)
"""

ARRIVED = """
INSERT INTO sending_lane AS lane (stream, site, reason)
SELECT %(stream)s, site, '' FROM unnest(%(sites)s::text[]) AS site ORDER BY site
ON CONFLICT (stream, site) DO UPDATE SET dispatched_at = NULL
RETURNING lane.site, lane.suspended_until IS NULL OR lane.suspended_until <= %(now)s
"""


def due_lanes(*, now: datetime) -> list[tuple[str, str]]:
    """Return the lanes to wake, and note that they are being woken."""
    with connection.cursor() as cursor:
        cursor.execute(DISPATCH, {"now": now, "lost": now - WAKE_UP_LASTS})
        return [(stream, site) for stream, site in cursor.fetchall()]


def unattended(stream: str, *, now: datetime) -> list[str]:
    """Return the sites of lanes that have something due which nobody has taken."""
    return [site for (site,) in executed(UNATTENDED, {"stream": stream, "now": now})]


def arrived(stream: str, sites: Collection[str], *, now: datetime) -> set[str]:
    """Note that a worker has come to the lanes; return those that may be worked now."""
    with connection.cursor() as cursor:
        cursor.execute(ARRIVED, {"stream": stream, "sites": sorted(set(sites)), "now": now})
        return {site for site, may in cursor.fetchall() if may}
