"""Where messages go: look-ups of recipients' domains, kept for all processes, and chunks sorted by site.

Acceptance never waits for DNS: messages to a domain that nobody has looked up yet begin in the
lane without a site, whose work is to look up and to sort.
"""

import random
from collections.abc import Collection, Mapping
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from mailpush.mail.dane import Tlsa
from mailpush.mail.mx import DnsUnavailable, MxHost, NoSuchDomain, Route, site_of
from mailpush.mail.replies import Failure
from mailpush.mail.tls import TlsDemand
from sending import ledger
from sending.delivery import claims, relays, shaping, strict_transport
from sending.delivery.lookups import Answer, Found, Lookups
from sending.delivery.retries import next_attempt
from sending.models import UNROUTED, Chunk, Destination, Message, Status
from sending.models.queue import CHUNK_SIZE
from sending.statements import executed

CHANCE = random.Random()  # noqa: S311 - jitter
ASK_AGAIN_AFTER = timedelta(seconds=1)  # whether a slow name server has answered meanwhile
BELIEVED_AT_LEAST = timedelta(minutes=5)  # a shorter TTL would cost a look-up per chunk
BELIEVED_AT_MOST = timedelta(hours=1)
STORED = ("name", "preference", "addresses", "port", "user", "demand")  # of a host; its password never is


def _site(found: Route) -> str:
    """Return what all domains at one provider share, so that they share its limits and connections."""
    names = [host.name for host in sorted(found.hosts, key=lambda host: (host.preference, host.name))]
    return shaping.current(timezone.now()).site_for(names, site_of(found.hosts))


def known(domains: Collection[str]) -> QuerySet[Destination]:
    """Return the destinations that were looked up lately, for the way that mail leaves now."""
    return Destination.objects.filter(domain__in=domains, via=_via(), expires_at__gt=timezone.now())


def _via() -> str:
    return relays.names() if relays.are_in_use() else f"{settings.MAILPUSH_DELIVERY}:{settings.MAILPUSH_MX_PORT}"


def route(destination: Destination) -> Route:
    """Return the route as it was looked up, one of `known`."""
    hosts = [_restored(host) for host in destination.hosts]
    return Route(tuple(relays.with_login(host) if relays.are_in_use() else host for host in hosts), 0)


def _stored(host: MxHost) -> dict[str, Any]:
    fields = asdict(host)
    return {name: fields[name] for name in STORED}


def _restored(stored: dict[str, Any]) -> MxHost:
    demand = stored["demand"]
    if demand:
        records = tuple(Tlsa(**record) for record in demand["records"])
        demand = TlsDemand(demand["by"], tuple(demand["names"]), records)
    return MxHost(**{**stored, "addresses": tuple(stored["addresses"]), "demand": demand})


# The database sorts by itself; what comes here is a row for each domain or site, not for each message.
UNKNOWN = """
SELECT DISTINCT split_part(m.recipient, '@', -1) FROM sending_message m
WHERE m.id = ANY(%(ids)s::bigint[]) AND m.status IN ('queued', 'deferred') AND NOT EXISTS (
    SELECT FROM sending_destination d
    WHERE d.domain = split_part(m.recipient, '@', -1) AND d.via = %(via)s::text AND d.expires_at > %(now)s::timestamptz
)
"""
SORTED = """
SELECT d.site, m.batch_id, array_agg(m.id ORDER BY m.id) FROM sending_message m
LEFT JOIN sending_destination d
       ON d.domain = split_part(m.recipient, '@', -1) AND d.via = %(via)s::text AND d.expires_at > %(now)s::timestamptz
WHERE m.id = ANY(%(ids)s::bigint[]) AND m.status IN ('queued', 'deferred')
GROUP BY d.site, m.batch_id
"""


def sort_chunks(taken: list[claims.Claim], *, stream: str, lookups: Lookups) -> set[str]:
    """Look up the destinations of chunks and move their messages into the lanes of the sites.

    Returns the sites that got something to do. An answer that another process has got already is
    used, so a message waits for DNS only where nobody knows; then it waits alone.
    """
    ids = [pk for claim in taken for pk in claim.messages]
    unknown = executed(UNKNOWN, {"ids": ids, "via": _via(), "now": timezone.now()})
    return _sort(taken, lookups.find({domain for (domain,) in unknown}), stream=stream, now=timezone.now())


@transaction.atomic
def _sort(taken: list[claims.Claim], found: Mapping[str, Found], *, stream: str, now: datetime) -> set[str]:
    ids = _still_ours(taken)
    answers = {domain: answer for domain, (answer, _) in found.items()}
    _remember(answers, now=now)
    strict_transport.remember({domain: policy for domain, (_, policy) in found.items() if policy})
    lanes: dict[tuple[str, datetime, int | None], list[int]] = {}
    for site, batch_id, some in executed(SORTED, {"ids": ids, "via": _via(), "now": now}):
        if site is not None:
            lanes[site, now, batch_id] = some
        else:
            waiting = _without_site(some, answers, stream=stream, now=now)
            lanes |= {(UNROUTED, due_at, batch_id): these for due_at, these in waiting.items()}
    Chunk.objects.bulk_create(
        Chunk(stream=stream, site=site, batch_id=batch_id, messages=some[at : at + CHUNK_SIZE], due_at=due_at)
        for (site, due_at, batch_id), some in lanes.items()
        for at in range(0, len(some), CHUNK_SIZE)
    )
    return {site for site, due_at, _ in lanes if due_at == now}


def _without_site(
    ids: list[int], answers: Mapping[str, Answer], *, stream: str, now: datetime
) -> dict[datetime, list[int]]:
    """Return when which messages are to be looked up again; note of the others that they have nowhere to go."""
    waiting: dict[datetime, list[int]] = {}
    outcomes = []
    for row in Message.objects.filter(pk__in=ids).order_by("pk"):
        answer = answers.get(row.recipient.rpartition("@")[2])
        due_at: datetime | None = now + ASK_AGAIN_AFTER
        if isinstance(answer, (NoSuchDomain, DnsUnavailable)):
            outcomes.append(_failed(row, answer, stream=stream, now=now))
            due_at = outcomes[-1].next_attempt_at
        if due_at:
            waiting.setdefault(due_at, []).append(row.pk)
    ledger.record(outcomes)
    return waiting


def _still_ours(taken: list[claims.Claim]) -> list[int]:
    """Drop the chunks, whose messages move elsewhere; return the messages they still had.

    A chunk that lost its lease is another's business; a canceled one is empty by now.
    """
    fences = {claim.chunk_id: claim.fence for claim in taken}
    chunks = [
        chunk
        for chunk in Chunk.objects.select_for_update().filter(pk__in=fences).order_by("pk")
        if chunk.fence == fences[chunk.pk]
    ]
    Chunk.objects.filter(pk__in=[chunk.pk for chunk in chunks]).delete()
    return [pk for chunk in chunks for pk in chunk.messages]


def _remember(answers: Mapping[str, Answer], *, now: datetime) -> None:
    Destination.objects.bulk_create(
        (
            Destination(
                domain=domain,
                site=_site(answer),
                hosts=[_stored(host) for host in answer.hosts],
                via=_via(),
                expires_at=now + min(max(timedelta(seconds=answer.ttl), BELIEVED_AT_LEAST), BELIEVED_AT_MOST),
            )
            # In one order everywhere, so that two writers never wait for each other in a circle.
            for domain, answer in sorted(answers.items(), key=lambda pair: pair[0])
            if isinstance(answer, Route)
        ),
        update_conflicts=True,
        unique_fields=["domain"],
        update_fields=["site", "hosts", "via", "expires_at"],
    )


def _failed(row: Message, problem: NoSuchDomain | DnsUnavailable, *, stream: str, now: datetime) -> ledger.Outcome:
    """NXDOMAIN and the null MX are final; a silent or broken name server is not."""
    retry = None
    status = Status.BOUNCED
    if isinstance(problem, DnsUnavailable):
        retry = next_attempt(
            stream=stream, attempts=row.attempts + 1, accepted_at=row.created_at, now=now, chance=CHANCE
        )
        status = Status.DEFERRED if retry else Status.FAILED
    return ledger.Outcome(
        message_id=row.pk,
        status=status,
        at=now,
        reply=f"{problem.enhanced_code} {problem}",
        failure=Failure.INFRASTRUCTURE if status is not Status.BOUNCED else Failure.NO_MAILBOX,
        invalid=status is Status.BOUNCED,
        next_attempt_at=retry,
    )
