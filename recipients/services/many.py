"""Many recipients at once, as programs give them; files come through `services.imports`."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import transaction
from django.db.models import F
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from mailpush.mail.addresses import BadAddress, parse
from mailpush.mail.tables import Record, written
from recipients.imports.staging import staging
from recipients.models import RecipientList
from recipients.services import lists
from recipients.services.recipients import checked

MOST = 10_000
SHOWN = 254  # characters of an address that is none


class TooManyRecipients(Refusal):
    code = "too_many_recipients"


@dataclass(frozen=True, slots=True)
class Entry:
    address: str
    variables: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rejected:
    """An entry that was left out, by its place in what was given."""

    index: int
    address: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Added:
    """What became of the entries; `updated` were on the list before, changed or not."""

    added: int
    updated: int
    duplicate: int
    rejected: Sequence[Rejected]


def add(recipient_list: RecipientList, entries: Sequence[Entry], *, by: Actor, now: datetime) -> Added:
    """Put recipients on the list, or update those that are on it; of several with one address the last counts.

    :raises TooManyRecipients: more than MOST.
    :raises ListBusy: an import is writing to the list.
    """
    by.must(Permission.WORK)
    if len(entries) > MOST:
        raise TooManyRecipients(_("Give at most %(most)d recipients a call.") % {"most": MOST}, field="recipients")
    rejected: list[Rejected] = []
    records = list(_records(entries, rejected))
    merged_addresses = added = 0
    if records:
        merged_addresses, added = _merge(recipient_list, records, by=by, now=now)
    return Added(added, merged_addresses - added, len(records) - merged_addresses, rejected)


def _records(entries: Sequence[Entry], rejected: list[Rejected]) -> Iterable[Record]:
    for index, entry in enumerate(entries):
        try:
            yield Record(index, written(parse(entry.address)), checked(entry.variables))
        except BadAddress as problem:
            message = _("“%(text)s” is not an e-mail address. %(why)s") % {
                "text": entry.address.strip()[:SHOWN],
                "why": problem,
            }
            rejected.append(Rejected(index, entry.address[:SHOWN], "bad_recipient", message))
        except Refusal as refusal:
            rejected.append(Rejected(index, entry.address[:SHOWN], refusal.code, refusal.message))


@transaction.atomic
def _merge(recipient_list: RecipientList, records: Sequence[Record], *, by: Actor, now: datetime) -> tuple[int, int]:
    current = lists.locked(recipient_list.pk, account=by.account)
    with staging() as rows:
        with rows.copying():
            rows.add(records)
        merged = rows.merge(current.pk, now=now)
    RecipientList.objects.filter(pk=current.pk).update(count=F("count") + merged.added)
    audit.record("recipient.added", by=by, target=current, count=merged.addresses, new=merged.added)
    return merged.addresses, merged.added
