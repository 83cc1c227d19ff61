"""The suppressions people add and remove by hand."""

from collections.abc import Sequence
from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from mailpush.mail.addresses import BadAddress, parse
from recipients import suppression
from recipients.models import Suppression

MOST_AT_ONCE = 1000


class BadAddresses(Refusal):
    """Some of the texts are no addresses; none was added."""

    code = "bad_addresses"


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
    rows = [
        Suppression(
            account=by.account,
            address=key,
            reason=Suppression.Reason.MANUAL,
            source=by.name,
            evidence=note.strip()[: suppression.EVIDENCE_LENGTH],
            created_at=now,
        )
        for key in keys
    ]
    known = Suppression.objects.for_account(by.account).filter(address__in=keys, scope=Suppression.Scope.ACCOUNT)
    new = len(keys) - known.count()
    suppression.suppress_all(rows)
    audit.record("suppression.added", by=by, target=keys[0], count=len(keys), note=note.strip())
    return new


@transaction.atomic
def remove(row: Suppression, *, note: str, by: Actor) -> None:
    """Allow sending to the address again; the note tells later readers of the audit log why.

    :raises NoteMissing: there is no note.
    """
    by.must(Permission.WORK)
    note = note.strip()
    if not note:
        raise NoteMissing(
            _("Say why the address may get mail again, for example: “asked for it by phone”."), field="note"
        )
    current = Suppression.objects.for_account(by.account).get(pk=row.pk)
    audit.record(
        "suppression.removed",
        by=by,
        target=current,
        reason=current.reason,
        scope=current.scope,
        scope_value=current.scope_value,
        note=note[:500],
    )
    current.delete()


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
