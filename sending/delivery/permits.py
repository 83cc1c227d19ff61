"""What a worker may do at a site now, shared by all processes and hosts: mails by the minute, connections at once.

Both streams pass the same gate, so a site's limits hold for them together. Of connections, batch mail
leaves a reserve; of mails a minute, triggered mail may go some seconds ahead of its turn, which batch
mail then waits out. So a campaign never takes the last place from a code.
"""

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import connection, transaction
from django.db.models import Sum

from senders.models import Stream
from sending.models import Gate, Turn

TURN_LASTS = timedelta(seconds=30)  # without renewal: its holder is dead
# Seconds of the pace that may go at once: few enough for a server not to notice, enough for a bulk write.
AHEAD: dict[str, timedelta] = {Stream.BATCH: timedelta(seconds=2), Stream.TRIGGER: timedelta(seconds=12)}


class Wish(NamedTuple):
    """How many connections to a site a worker wants, of how many that it bears from all together."""

    wanted: int
    limit: int


# The generic cell rate algorithm (ITU-T I.371) in one statement. `next_free_at` is when the mails granted so far
# are through at the pace; it may lie as far ahead as `ahead` when the next one is granted.
TAKE = """
WITH gate AS (
    SELECT site, GREATEST(next_free_at, %(now)s) AS free_at FROM sending_gate WHERE site = %(site)s FOR UPDATE
), granted AS (
    SELECT site, free_at, LEAST(%(wanted)s, GREATEST(0, 1 + floor(
        extract(epoch FROM %(now)s + %(ahead)s - free_at) / %(apart)s
    )))::int AS n
    FROM gate
)
UPDATE sending_gate SET next_free_at = granted.free_at + granted.n * %(apart)s * interval '1 second'
FROM granted WHERE sending_gate.site = granted.site
RETURNING granted.n, sending_gate.next_free_at
"""


def take(stream: str, site: str, wanted: int, rate: int | None, now: datetime) -> tuple[int, datetime | None]:
    """Return how many of `wanted` mails may go now at `rate` a minute (None: no limit), and when the next may.

    What is granted counts as gone; the moment is None where all were granted.
    """
    if rate is None or wanted <= 0:
        return wanted, None
    ahead = AHEAD[stream]
    values: dict[str, Any] = {"site": site, "wanted": wanted, "now": now, "ahead": ahead, "apart": 60 / rate}
    with connection.cursor() as cursor:
        cursor.execute(TAKE, values)
        found = cursor.fetchone()
        if found is None:  # the first mail ever to this site
            Gate.objects.bulk_create([Gate(site=site, next_free_at=now)], ignore_conflicts=True)
            cursor.execute(TAKE, values)
            found = cursor.fetchone()
    granted, next_free_at = found
    return granted, None if granted == wanted else max(next_free_at - ahead, now)


def most_of(stream: str, limit: int) -> int:
    """Return how many of a site's connections a stream may have: batch mail leaves a fifth, but one is never none."""
    return limit - max(1, limit // 5) if stream == Stream.BATCH and limit > 1 else limit


@transaction.atomic
def grant(stream: str, holder: str, wishes: Mapping[str, Wish], now: datetime) -> dict[str, int]:
    """Return how many connections to each site a holder may have open.

    They replace what the holder had; ask again every few seconds, since shares change as others come and
    go. Who gets none is remembered as waiting, and the others leave room at their next question.
    """
    _lock(wishes, now)
    Turn.objects.filter(site__in=wishes, until__lt=now).delete()
    others: dict[str, list[Turn]] = {site: [] for site in wishes}
    for turn in Turn.objects.filter(site__in=wishes).exclude(stream=stream, holder=holder):
        others[turn.site].append(turn)
    shares = {site: _share(stream, wish, others[site]) for site, wish in wishes.items()}
    until = now + TURN_LASTS
    Turn.objects.bulk_create(
        [
            Turn(site=site, stream=stream, holder=holder, connections=share, wanted=wishes[site].wanted, until=until)
            for site, share in shares.items()
        ],
        update_conflicts=True,
        unique_fields=["site", "stream", "holder"],
        update_fields=["connections", "wanted", "until"],
    )
    return shares


def _share(stream: str, wish: Wish, others: Collection[Turn]) -> int:
    """Return what a site has for one holder beside the others' turns."""
    peers = [turn for turn in others if turn.stream == stream]
    most = most_of(stream, wish.limit)
    fair = max(most // (len(peers) + 1), 1)
    share = max(fair, most - sum(min(turn.wanted, fair) for turn in peers))
    free = min(
        most - sum(turn.connections for turn in peers),
        wish.limit - sum(turn.connections for turn in others),
    )
    return max(min(wish.wanted, share, free), 0)


def renew(holder: str, now: datetime) -> int:
    """Prolong all turns of a holder that have not run out; return how many."""
    return Turn.objects.filter(holder=holder, until__gte=now).update(until=now + TURN_LASTS)


def release(stream: str, site: str, holder: str) -> None:
    """Give a turn back."""
    Turn.objects.filter(stream=stream, site=site, holder=holder).delete()


def open_connections(sites: Collection[str] | None = None, *, now: datetime) -> dict[tuple[str, str], int]:
    """Return the connections that living workers hold, by stream and site; None: to all sites."""
    turns = Turn.objects.filter(until__gte=now)
    if sites is not None:
        turns = turns.filter(site__in=sites)
    rows = turns.values("stream", "site").annotate(open=Sum("connections")).order_by()
    return {(row["stream"], row["site"]): row["open"] for row in rows}


def _lock(sites: Collection[str], now: datetime) -> None:
    """Let nobody else deal with the sites' connections until the transaction ends."""
    # In the order of their names, so that two workers never wait for each other in a circle.
    gates = Gate.objects.select_for_update().filter(site__in=sites).order_by("site").values_list("site", flat=True)
    if missing := set(sites).difference(gates):
        Gate.objects.bulk_create([Gate(site=site, next_free_at=now) for site in sorted(missing)], ignore_conflicts=True)
        assert len(gates.all()) == len(sites)  # gates are never deleted
