"""Examining single addresses, and files of them."""

from datetime import datetime

from django.core.files.base import File
from django.db import transaction
from django.db.models import Sum
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account, Permission
from mailpush.lib import files
from mailpush.lib.refusals import Refusal
from sending import checks, tasks
from sending.checks import Finding
from sending.models import AddressFile

ADDRESSES_A_MONTH = 5_000_000  # of an account's files; each domain may cost a DNS look-up
UNFINISHED_AT_ONCE = 10


class TooManyAddressFiles(Refusal):
    code = "too_many_address_files"


class FileNotFinished(Refusal):
    code = "file_not_finished"


def examine(address: str, *, by: Actor, now: datetime) -> Finding:
    """Return what is known of one address. No transaction may be open around this, as it asks DNS."""
    by.must(Permission.WORK)
    return checks.examine([address], account=by.account, now=now)[0]


def start(
    file: "File[bytes]",
    *,
    name: str,
    address_column: int,
    has_heading: bool,
    removes_duplicates: bool,
    by: Actor,
    now: datetime,
) -> AddressFile:
    """Keep a file and examine its addresses in the background.

    :raises TooManyAddressFiles: UNFINISHED_AT_ONCE are being examined, or the month's allowance is spent.
    :raises StorageUnavailable: the file could not be kept.
    """
    by.must(Permission.WORK)
    rows = AddressFile.objects.for_account(by.account)
    open_ones = rows.filter(status__in=[AddressFile.Status.QUEUED, AddressFile.Status.RUNNING]).count()
    if open_ones >= UNFINISHED_AT_ONCE or used(by.account, now=now) >= ADDRESSES_A_MONTH:
        raise TooManyAddressFiles(
            _("%(files)d files at a time and %(addresses)s addresses a month are examined for an account.")
            % {"files": UNFINISHED_AT_ONCE, "addresses": f"{ADDRESSES_A_MONTH:,}"}
        )
    wanted = AddressFile(
        account=by.account,
        name=name[:255],
        address_column=address_column,
        has_heading=has_heading,
        removes_duplicates=removes_duplicates,
        created_at=now,
    )
    with files.refusing():
        wanted.source = files.keep(f"address_files/{wanted.token}.txt", file)
    try:
        _queue(wanted, by=by)
    except BaseException:
        files.discard(wanted.source)
        raise
    return wanted


@transaction.atomic
def _queue(wanted: AddressFile, *, by: Actor) -> None:
    wanted.save()
    audit.record("address_file.started", by=by, target=wanted)
    transaction.on_commit(lambda: tasks.check_address_file.delay(file_id=wanted.pk), robust=True)


def delete(row: AddressFile, *, by: Actor) -> None:
    """Forget a file with its findings.

    :raises FileNotFinished: it is being examined.
    """
    by.must(Permission.WORK)
    over = AddressFile.objects.for_account(by.account).filter(
        pk=row.pk, status__in=[AddressFile.Status.DONE, AddressFile.Status.FAILED]
    )
    if not over.delete()[0]:
        raise FileNotFinished(_("%(name)s is still being examined. Delete it when that is over.") % {"name": row})
    if row.result:
        files.discard(row.result)
    audit.record("address_file.deleted", by=by, target=row)


def used(account: Account, *, now: datetime) -> int:
    """Return how many addresses of files were examined in this calendar month (UTC)."""
    first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
    rows = AddressFile.objects.for_account(account).filter(created_at__gte=first)
    return int(rows.aggregate(sum=Sum("processed"))["sum"] or 0)
