"""The suppressions people add and remove by hand."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account, Permission
from mailpush.lib.refusals import Refusal
from mailpush.mail import charsets, tables
from mailpush.mail.addresses import BadAddress, parse
from recipients import suppression
from recipients.imports import reasons
from recipients.models import Suppression, SuppressionQuerySet

MOST_AT_ONCE = 1000
MOST_IN_FILE = 200_000  # lines; some seconds of work
MOST_REJECTS = 100  # shown of the lines that cannot be used


class BadAddresses(Refusal):
    """Some of the texts are no addresses; none was added."""

    code = "bad_addresses"


class NotAnAddressFile(Refusal):
    code = "not_an_address_file"


@dataclass(frozen=True, slots=True)
class Rejected:
    """A line of a file that cannot be used."""

    line: int
    text: str
    reason: str


@dataclass(frozen=True, slots=True)
class FileResult:
    """What became of a file's lines: read = added + known + twice + invalid."""

    read: int
    added: int
    known: int  # were suppressed before
    twice: int  # stand in the file once more
    invalid: int
    rejects: list[Rejected]  # the first of the invalid ones

    @property
    def repeated(self) -> int:
        return self.known + self.twice

    @property
    def left_out(self) -> int:
        """Invalid lines that are not among the shown ones."""
        return self.invalid - len(self.rejects)


class NoteMissing(Refusal):
    """Removing a suppression needs a reason in words."""

    code = "note_missing"


@transaction.atomic
def add(*, addresses: Sequence[str], note: str, by: Actor, now: datetime) -> int:
    """Keep the account from sending to these addresses; return how many were not suppressed before.

    :raises BadAddresses: there are none, too many, or one is no address.
    """
    by.must(Permission.WORK)
    keys = _keys(addresses)
    new = _add(keys, note=note, by=by, now=now)
    audit.record("suppression.added", by=by, target=keys[0], count=len(keys), note=note.strip())
    return new


@transaction.atomic
def add_file(*, file: BinaryIO, name: str, note: str, by: Actor, now: datetime) -> FileResult:
    """Keep the account from sending to the addresses in a txt or csv file; lines without one are left out and told.

    :raises NotAnAddressFile: it is no text file, or has too many lines; nothing was added.
    """
    by.must(Permission.WORK)
    keys, rejects, invalid = _read(file)
    new = _add(list(keys), note=note, by=by, now=now) if keys else 0
    read = sum(keys.values()) + invalid
    audit.record("suppression.uploaded", by=by, target=name, count=len(keys), added=new, note=note.strip())
    return FileResult(
        read=read, added=new, known=len(keys) - new, twice=read - invalid - len(keys), rejects=rejects, invalid=invalid
    )


def search(
    *, account: Account, text: str = "", reason: str = "", since: datetime | None = None, until: datetime | None = None
) -> SuppressionQuerySet:
    """Return the account's suppressions: by part of the address, reason, and time (`until` excluded)."""
    rows = Suppression.objects.for_account(account)
    if text := text.strip().replace("\0", "").lower():
        rows = rows.filter(address__contains=text)
    if reason in Suppression.Reason.values:
        rows = rows.filter(reason=reason)
    if since:
        rows = rows.filter(created_at__gte=since)
    return rows.filter(created_at__lt=until) if until else rows


@transaction.atomic
def remove(row: Suppression, *, note: str, by: Actor) -> None:
    """Allow sending to the address again; the note tells later readers of the audit log why.

    :raises NoteMissing: there is no note.
    """
    by.must(Permission.WORK)
    note = _required(note)
    current = Suppression.objects.for_account(by.account).get(pk=row.pk)
    _remove(current, note=note, by=by)


@transaction.atomic
def remove_address(*, address: str, note: str, by: Actor) -> int:
    """Allow sending to the address again, in every scope; return how many suppressions that took.

    :raises NoteMissing: there is no note.
    """
    by.must(Permission.WORK)
    note = _required(note)
    rows = list(Suppression.objects.for_account(by.account).filter(address=suppression.key_of(address)))
    for row in rows:
        _remove(row, note=note, by=by)
    return len(rows)


def _remove(row: Suppression, *, note: str, by: Actor) -> None:
    audit.record(
        "suppression.removed",
        by=by,
        target=row,
        reason=row.reason,
        scope=row.scope,
        scope_value=row.scope_value,
        note=note[:500],
    )
    row.delete()


def _required(note: str) -> str:
    if not (note := note.strip()):
        raise NoteMissing(
            _("Say why the address may get mail again, for example: “asked for it by phone”."), field="note"
        )
    return note


def _add(keys: Sequence[str], *, note: str, by: Actor, now: datetime) -> int:
    return suppression.suppress_addresses(
        keys, account=by.account, reason=Suppression.Reason.MANUAL, now=now, source=by.name, evidence=note.strip()
    )


def _read(file: BinaryIO) -> tuple[Counter[str], list[Rejected], int]:
    """Return how often each address stands in the file, the first lines that cannot be used, and how many those are."""
    keys, rejects, invalid = Counter[str](), list[Rejected](), 0
    try:
        _layout, blocks = tables.read(file, charsets.detect(file))
        for block in blocks:
            keys.update(record.address.lower() for record in block.records)
            invalid += len(block.rejects)
            rejects += [
                Rejected(reject.line, reject.text[:200], reasons.of_line(reject))
                for reject in block.rejects[: MOST_REJECTS - len(rejects)]
            ]
            if keys.total() + invalid > MOST_IN_FILE:
                raise NotAnAddressFile(
                    _("The file has more than %(most)s lines. Split it and upload the parts one after the other.")
                    % {"most": f"{MOST_IN_FILE:,}"},
                    field="file",
                )
    except charsets.NotAList as finding:
        raise NotAnAddressFile(reasons.of_file(finding), field="file") from finding
    return keys, rejects, invalid


def _keys(addresses: Sequence[str]) -> list[str]:
    keys, wrong = dict[str, None](), list[str]()
    for text in addresses:
        try:
            keys[parse(text).key] = None
        except BadAddress:
            wrong.append(text[:80])
    if wrong:
        raise BadAddresses(
            _("Not an e-mail address: %(texts)s. Nothing was added.") % {"texts": ", ".join(wrong[:5])},
            field="addresses",
        )
    if not 1 <= len(keys) <= MOST_AT_ONCE:
        raise BadAddresses(
            _("Write 1 to %(most)d addresses, one in each line.") % {"most": MOST_AT_ONCE}, field="addresses"
        )
    return list(keys)
