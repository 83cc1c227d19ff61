"""Examining addresses before anything is sent to them: form, what their domain is, DNS, and our own experience.

Nobody's mail server is knocked at: probing mailboxes without mail is what address harvesters do, and gets the
prober's network blocked. What was delivered or bounced here before says more.
"""

import asyncio
import csv
import io
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from itertools import islice
from typing import Any

from disposable_email_domains import blocklist
from django.core.files.base import ContentFile
from django.core.files.storage import default_storage
from django.db import models
from django.db.models import F, Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account
from mailpush.lib import dns, files
from mailpush.mail.addresses import Address, BadAddress, parse, registrable_domain
from mailpush.mail.charsets import NotAList, detect
from mailpush.mail.mx import DnsUnavailable, NoSuchDomain, resolve
from recipients.models import Suppression
from sending.models import AddressFile, Destination, Message, Status

EXPERIENCE_LASTS = timedelta(days=180)  # a mailbox that took mail then is taken to be there
LOOKUPS_AT_ONCE = 50
AT_ONCE = 200  # addresses of a file; where name servers are silent, they take half a minute
CLAIM_LASTS = timedelta(minutes=2)  # renewed with every block
MOST_ATTEMPTS = 5
NO_DNS, DNS_SILENT = "NO_DNS_ENTRIES", "DNS_TIMEOUT"

# Mailboxes of a function: many people read them, none of whom has asked for anything (RFC 2142 names the first ones).
ROLES = frozenset(
    [
        *("abuse", "admin", "administrator", "billing", "hostmaster", "info", "mailer-daemon", "marketing", "news"),
        *("no-reply", "noreply", "postmaster", "root", "sales", "security", "spam", "support", "usenet", "webmaster"),
    ]
)

# Where anybody gets a mailbox for nothing: the domain, and whose it is.
FREE_MAIL = {
    domain: provider
    for provider, domains in {
        "Gmail": "gmail.com googlemail.com",
        "Outlook": "outlook.com hotmail.com live.com live.cn msn.com",
        "Yahoo": "yahoo.com ymail.com rocketmail.com yahoo.co.jp yahoo.co.uk yahoo.de yahoo.fr aol.com",
        "iCloud": "icloud.com me.com mac.com",
        "QQ": "qq.com foxmail.com vip.qq.com",
        "NetEase": "163.com 126.com yeah.net vip.163.com 188.com",
        "Sina": "sina.com sina.cn vip.sina.com",
        "Sohu": "sohu.com",
        "Aliyun": "aliyun.com",
        "ChinaMobile": "139.com",
        "ChinaTelecom": "189.cn",
        "GMX": "gmx.com gmx.net gmx.de web.de",
        "Proton": "proton.me protonmail.com pm.me",
        "Yandex": "yandex.ru yandex.com ya.ru",
        "MailRu": "mail.ru bk.ru inbox.ru list.ru",
        "Naver": "naver.com",
        "Daum": "daum.net hanmail.net",
        "Zoho": "zoho.com zohomail.com",
    }.items()
    for domain in domains.split()
}


class Verdict(StrEnum):
    """What becomes of a mail to the address, as far as one can tell."""

    VALID = "VALID"
    INVALID = "INVALID"
    DO_NOT_MAIL = "DO_NOT_MAIL"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Finding:
    """What is known of an address; `detail` says why."""

    text: str
    verdict: Verdict
    detail: str
    address: Address | None = None
    takes_mail: bool = False  # its domain has mail servers

    @property
    def is_disposable(self) -> bool:
        return self.address is not None and _is_disposable(self.address.domain)

    @property
    def provider(self) -> str:
        return FREE_MAIL.get(self.address.domain, "") if self.address else ""


@dataclass(frozen=True, slots=True)
class Experience:
    """What an account knows of some addresses (their keys)."""

    suppressed: dict[str, str]  # with the reason
    delivered: frozenset[str]


def examine(texts: Sequence[str], *, account: Account, now: datetime) -> list[Finding]:
    """Return a finding for each text. No transaction may be open around this, as it asks DNS."""
    parsed = [_parsed(text) for text in texts]
    addresses = [address for address in parsed if address]
    experience = _experience(addresses, account, now=now)
    domains = {address.domain for address in addresses if not _is_disposable(address.domain)}
    answers = _answers(domains, now=now)
    return [_finding(text, address, experience, answers) for text, address in zip(texts, parsed, strict=True)]


def _finding(text: str, address: Address | None, experience: Experience, answers: dict[str, str]) -> Finding:
    if address is None:
        return Finding(text, Verdict.INVALID, "INVALID_FORMAT")
    verdict, detail = _judged(address, experience, answers)
    return Finding(text, verdict, detail, address, takes_mail=not answers.get(address.domain, "DISPOSABLE"))


def _judged(address: Address, experience: Experience, answers: dict[str, str]) -> tuple[Verdict, str]:
    """Return what is known for certain first."""
    reason = experience.suppressed.get(address.key)
    problem = answers.get(address.domain, "")
    grounds = (
        (reason == Suppression.Reason.BOUNCED, Verdict.INVALID, "MAILBOX_NOT_FOUND"),
        (bool(reason), Verdict.DO_NOT_MAIL, "SUPPRESSED"),
        (_is_disposable(address.domain), Verdict.DO_NOT_MAIL, "DISPOSABLE"),
        (problem == NO_DNS, Verdict.INVALID, problem),
        (bool(problem), Verdict.UNKNOWN, problem),
        (address.key in experience.delivered, Verdict.VALID, "DELIVERED_BEFORE"),
        (address.local.lower().partition("+")[0] in ROLES, Verdict.DO_NOT_MAIL, "ROLE_BASED"),
    )
    return next(((verdict, detail) for holds, verdict, detail in grounds if holds), (Verdict.VALID, "UNSPECIFIED"))


def _parsed(text: str) -> Address | None:
    try:
        return parse(text)
    except BadAddress:
        return None


def _is_disposable(domain: str) -> bool:
    return domain in blocklist or registrable_domain(domain) in blocklist


def _experience(addresses: Iterable[Address], account: Account, *, now: datetime) -> Experience:
    keys = [address.key for address in addresses]
    rows = Suppression.objects.binding(account.pk).filter(address__in=keys)
    taken = Message.objects.filter(account=account, status=Status.DELIVERED, created_at__gte=now - EXPERIENCE_LASTS)
    found = taken.annotate(key=Lower("recipient")).filter(key__in=keys).values_list("key", flat=True)
    return Experience(dict(rows.values_list("address", "reason")), frozenset(found))


def _answers(domains: set[str], *, now: datetime) -> dict[str, str]:
    """Return what is wrong with each domain, empty for nothing; answers that delivery has got are used."""
    known = Destination.objects.filter(domain__in=domains, expires_at__gt=now).values_list("domain", flat=True)
    found = dict.fromkeys(known, "")
    return found | asyncio.run(_look_up(domains - found.keys()))


async def _look_up(domains: set[str]) -> dict[str, str]:
    resolver = dns.resolver()
    gate = asyncio.Semaphore(LOOKUPS_AT_ONCE)

    async def one(domain: str) -> str:
        async with gate:
            try:
                await resolve(domain, resolver)
            except NoSuchDomain:
                return NO_DNS
            except DnsUnavailable:
                return DNS_SILENT
            return ""

    found = await asyncio.gather(*(one(domain) for domain in domains))
    return dict(zip(domains, found, strict=True))


# Files


_stopping = threading.Event()


class Stopped(Exception):
    """The process ends; another will begin anew."""


def begin_to_stop() -> None:
    """Begin no file, and give back the one that is being examined."""
    _stopping.set()


def check_file(file_id: int) -> None:
    """Examine the addresses of a file and write the findings beside it; another worker's file is left alone."""
    job = None if _stopping.is_set() else _claimed(file_id, now=timezone.now())
    if job is None:
        return
    try:
        rows = _rows(job)
        _write(job, rows)
    except (NotAList, csv.Error):
        _end(job, AddressFile.Status.FAILED, error=_("This is no text file with an address in each line."))
    except BadColumn:
        error = _("No line has a column %(number)d.") % {"number": job.address_column}
        _end(job, AddressFile.Status.FAILED, error=error)
    except Stopped:
        _own(job).update(status=AddressFile.Status.QUEUED, attempts=F("attempts") - 1, claimed_until=None)


def unfinished(*, now: datetime) -> list[int]:
    """Return the files whose worker died or whose wake-up was lost."""
    waiting = Q(status=AddressFile.Status.QUEUED, created_at__lt=now - timedelta(seconds=30))
    lost = Q(status=AddressFile.Status.RUNNING, claimed_until__lt=now)
    return list(AddressFile.objects.filter(waiting | lost).values_list("pk", flat=True))


class BadColumn(Exception):
    """The file has no such column."""


def _claimed(file_id: int, *, now: datetime) -> AddressFile | None:
    free = Q(status=AddressFile.Status.QUEUED) | Q(status=AddressFile.Status.RUNNING, claimed_until__lt=now)
    taken = AddressFile.objects.filter(free, pk=file_id).update(
        status=AddressFile.Status.RUNNING, attempts=F("attempts") + 1, claimed_until=now + CLAIM_LASTS, processed=0
    )
    job = AddressFile.objects.select_related("account").get(pk=file_id) if taken else None
    if job and job.attempts > MOST_ATTEMPTS:
        _end(job, AddressFile.Status.FAILED, error=_("The file could not be examined in several attempts."))
        return None
    return job


def _rows(job: AddressFile) -> list[list[str]]:
    """Return the lines that have something in the column of the address, the heading left out."""
    with default_storage.open(job.source, "rb") as file:
        lines = list(_lines(file))
    rows = lines[1:] if job.has_heading else lines
    at = job.address_column - 1
    found = [row for row in rows if len(row) > at and row[at].strip()]
    if not found:
        raise BadColumn
    if job.removes_duplicates:
        found = list({row[at].strip().lower(): row for row in reversed(found)}.values())[::-1]
    return found


def _lines(file: Any) -> Iterator[list[str]]:
    charset = detect(file)
    file.seek(0)
    text = io.TextIOWrapper(file, encoding=charset, errors="replace", newline="")
    yield from csv.reader(line.replace("\0", "") for line in text)


def _write(job: AddressFile, rows: list[list[str]]) -> None:
    counts = dict.fromkeys(Verdict, 0)
    out = io.StringIO()
    writer = csv.writer(out)
    writer.writerow(["Email", "Status", "SubStatus"])
    AddressFile.objects.filter(pk=job.pk).update(total=len(rows))
    walk = iter(rows)
    while block := list(islice(walk, AT_ONCE)):
        if _stopping.is_set():
            raise Stopped
        now = timezone.now()
        for finding in examine([row[job.address_column - 1].strip() for row in block], account=job.account, now=now):
            counts[finding.verdict] += 1
            writer.writerow([_harmless(finding.text), finding.verdict, finding.detail])
        _own(job).update(processed=F("processed") + len(block), claimed_until=now + CLAIM_LASTS)
    name = files.keep(f"address_files/{job.token}.{job.attempts}.csv", ContentFile(out.getvalue().encode("utf-8-sig")))
    _end(
        job,
        AddressFile.Status.DONE,
        result=name,
        processed=len(rows),
        **{verdict.name.lower(): count for verdict, count in counts.items()},
    )


def _harmless(text: str) -> str:
    """Return a cell that no spreadsheet takes for a formula."""
    return f"'{text}" if text[:1] in {"=", "+", "-", "@", "\t"} else text


def _own(job: AddressFile) -> "models.QuerySet[AddressFile]":
    return AddressFile.objects.filter(pk=job.pk, status=AddressFile.Status.RUNNING, attempts=job.attempts)


def _end(job: AddressFile, status: str, **changes: object) -> None:
    if (
        _own(job).update(status=status, claimed_until=None, finished_at=timezone.now(), source="", **changes)
        and job.source
    ):
        default_storage.delete(job.source)
