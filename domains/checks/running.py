"""Checks as they run: taken by one process at a time, looked up without a transaction, written in one."""

import asyncio
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta

from django.conf import settings
from django.db import IntegrityError, transaction

from accounts import audit
from accounts.actors import Actor
from domains.checks import mails, words
from domains.checks.decision import Mail, State, decide
from domains.models import Domain, RecordCheck
from mailpush.lib import dns
from mailpush.mail import records, spf
from mailpush.mail.records import CheckResult

# A claim outlasts the slowest run: DOMAINS_A_RUN / DOMAINS_AT_ONCE × LONGEST_CHECK = 75 seconds.
CLAIM_LASTS = timedelta(minutes=2)
DOMAINS_A_RUN = 100
DOMAINS_AT_ONCE = 20
LONGEST_CHECK = 15.0  # seconds; an SPF record can include dozens of names that all answer late

Kind = RecordCheck.Kind
Outcome = RecordCheck.Outcome
Results = Mapping[RecordCheck.Kind, CheckResult]


def claim(domain: Domain, *, now: datetime) -> Domain | None:
    """Take a domain for one check; None where somebody is at it or it is deleted."""
    free = Domain.objects.filter(pk=domain.pk).free_to_check(now)
    if not free.update(checking_until=now + CLAIM_LASTS):
        return None
    return _with_rows([domain.pk])[0]


@transaction.atomic
def claim_due(*, now: datetime, limit: int = DOMAINS_A_RUN) -> list[Domain]:
    """Take the domains whose check has been due longest."""
    due = Domain.objects.due(now).select_for_update(skip_locked=True, of=("self",)).order_by("next_check_at")
    keys = list(due.values_list("pk", flat=True)[:limit])
    Domain.objects.filter(pk__in=keys).update(checking_until=now + CLAIM_LASTS)
    return _with_rows(keys)


def run(claimed: Sequence[Domain], *, now: datetime, by: Actor | None = None) -> None:
    """Look up the records of claimed domains and write what was found and what follows from it.

    `by` is who asked; where nobody did, the owners are told by mail what changed.
    """
    for domain, results in zip(claimed, asyncio.run(_look_up_all(claimed)), strict=True):
        _write(domain, results, now=now, by=by)


def _with_rows(keys: Sequence[int]) -> list[Domain]:
    return list(Domain.objects.filter(pk__in=keys).select_related("account").with_rows())


# Looking up


async def _look_up_all(domains: Sequence[Domain]) -> list[Results]:
    resolver = dns.resolver()
    gate = asyncio.Semaphore(DOMAINS_AT_ONCE)

    async def one(domain: Domain) -> Results:
        async with gate:
            return await look_up(domain, resolver)

    return await asyncio.gather(*(one(domain) for domain in domains))


async def look_up(domain: Domain, resolver: dns.Resolver) -> Results:
    """Return what DNS says of each record of a domain, which has its keys loaded."""
    name, key = domain.name, domain.key_in_use
    looks = {
        Kind.OWNERSHIP: records.check_txt(domain.ownership_host, domain.ownership_token, resolver),
        Kind.SPF: spf.check(name, settings.MAILPUSH_SPF_INCLUDE, resolver),
        Kind.MX: records.check_mx(name, settings.MAILPUSH_MAIL_HOST, resolver),
        Kind.DKIM: records.check_dkim(key.selector, name, key.public_record, resolver),
        Kind.DMARC: records.check_dmarc(name, resolver),
        Kind.TRACKING: records.check_cname(domain.tracking_host, settings.PUBLIC_HOST, resolver),
    }
    found = await asyncio.gather(*(_in_time(look) for look in looks.values()))
    return dict(zip(looks, found, strict=True))


async def _in_time(look: Awaitable[CheckResult]) -> CheckResult:
    try:
        return await asyncio.wait_for(look, LONGEST_CHECK)
    except TimeoutError:
        return CheckResult(records.Outcome.NO_ANSWER, "no_answer", "DNS took too long to answer.")


# Writing


def _write(domain: Domain, results: Results, *, now: datetime, by: Actor | None) -> None:
    state = State(**{column.name: getattr(domain, column.name) for column in fields(State)})
    outcomes = {kind: Outcome(result.outcome) for kind, result in results.items()}
    try:
        _move(domain, results, *decide(state, outcomes, now=now), now=now, by=by)
    except IntegrityError:  # domain_proved_once: somebody else was first
        results = {**results, Kind.OWNERSHIP: _proved_by_another(results[Kind.OWNERSHIP])}
        outcomes = {**outcomes, Kind.OWNERSHIP: Outcome.WRONG}
        _move(domain, results, *decide(state, outcomes, now=now), now=now, by=by)


@transaction.atomic
def _move(
    domain: Domain, results: Results, state: State, mail: Mail | None, *, now: datetime, by: Actor | None
) -> None:
    """Write a check's results, unless the domain was deleted, moved or taken over since it was claimed."""
    unmoved = Domain.objects.filter(pk=domain.pk, deleted_at=None, checking_until=domain.checking_until)
    if not unmoved.update(**asdict(state), checked_at=now, checking_until=None):
        return
    _write_checks(domain, results, now=now)
    if mail is None:
        return
    audit.record(f"domain.{mail}", by=by or Actor.platform(domain.account), target=domain.name)
    if by is None:
        # robust: a mail that cannot be accepted must not undo what was found.
        transaction.on_commit(lambda: mails.tell_owners(domain.pk, mail), robust=True)


def _write_checks(domain: Domain, results: Results, *, now: datetime) -> None:
    before = {check.kind: check.found for check in domain.checks.all()}
    rows = [
        RecordCheck(
            domain=domain,
            kind=kind,
            outcome=result.outcome,
            # Silence does not make us forget what stands there.
            found=before.get(kind, []) if result.outcome == records.Outcome.NO_ANSWER else result.found,
            reason=result.reason,
            detail=result.detail,
            checked_at=now,
        )
        for kind, result in results.items()
    ]
    RecordCheck.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["domain", "kind"],
        update_fields=["outcome", "found", "reason", "detail", "checked_at"],
    )


def _proved_by_another(result: CheckResult) -> CheckResult:
    detail = "Another account has proved this domain."
    return CheckResult(records.Outcome.WRONG, words.PROVED_BY_ANOTHER, detail, result.found)
