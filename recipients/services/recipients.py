"""Single recipients of a list; files come through `services.imports`."""

from collections.abc import Collection, Mapping
from datetime import datetime

from django.db import IntegrityError, transaction
from django.db.models import F
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from mailpush.mail.addresses import BadAddress, parse
from mailpush.mail.tables import plain, written
from mailpush.mail.variables import LENGTHS
from recipients.models import Recipient, RecipientList, Suppression
from recipients.services import lists


class BadRecipient(Refusal):
    """The address is none."""

    code = "bad_recipient"


class RecipientExists(Refusal):
    code = "recipient_exists"


class ValueTooLong(Refusal):
    code = "value_too_long"


class UnknownVariable(Refusal):
    code = "unknown_variable"


@transaction.atomic
def add(
    recipient_list: RecipientList, *, address: str, variables: Mapping[str, str], by: Actor, now: datetime
) -> Recipient:
    """Put one recipient on the list.

    :raises BadRecipient: the address is none.
    :raises ValueTooLong, UnknownVariable: a variable's value is too long, or its name is none.
    :raises RecipientExists: the address is on the list.
    :raises ListBusy: an import is writing to the list.
    """
    by.must(Permission.WORK)
    wanted = Recipient(list=recipient_list, address=_address(address), variables=checked(variables), created_at=now)
    wanted.list = lists.locked(recipient_list.pk, account=by.account)
    _save(wanted)
    _count(wanted.list, 1)
    audit.record("recipient.added", by=by, target=wanted, list=wanted.list.name)
    return wanted


@transaction.atomic
def edit(recipient: Recipient, *, address: str, variables: Mapping[str, str], by: Actor) -> Recipient:
    """Change address and variables of one recipient.

    :raises BadRecipient, ValueTooLong, UnknownVariable, RecipientExists, ListBusy: as in `add`.
    """
    by.must(Permission.WORK)
    wanted_address, wanted_variables = _address(address), checked(variables)
    current_list = lists.locked(recipient.list_id, account=by.account)
    current = current_list.recipients.get(pk=recipient.pk)
    current.address, current.variables = wanted_address, wanted_variables
    _save(current)
    audit.record("recipient.changed", by=by, target=current, list=current_list.name, before=recipient.address)
    return current


@transaction.atomic
def delete(recipient_list: RecipientList, *, ids: Collection[int], by: Actor) -> int:
    """Take recipients off the list; ids that are not on it count for nothing.

    :raises ListBusy: an import is writing to the list.
    """
    by.must(Permission.WORK)
    current = lists.locked(recipient_list.pk, account=by.account)
    rows = current.recipients.filter(pk__in=ids)
    addresses = list(rows.values_list("address", flat=True)[:20])
    gone = rows.delete()[0]
    if gone:
        _count(current, -gone)
        audit.record("recipient.deleted", by=by, target=current, count=gone, addresses=addresses)
    return gone


@transaction.atomic
def delete_invalid(recipient_list: RecipientList, *, by: Actor) -> int:
    """Take everybody off the list whose mailbox does not exist; return how many that were.

    :raises ListBusy: an import is writing to the list.
    """
    by.must(Permission.WORK)
    current = lists.locked(recipient_list.pk, account=by.account)
    dead = Suppression.objects.for_account(by.account).filter(reason=Suppression.Reason.BOUNCED)
    rows = current.recipients.annotate(key=Lower("address")).filter(key__in=dead.values("address"))
    gone = rows.delete()[0]
    if gone:
        _count(current, -gone)
        audit.record("recipient.invalid_deleted", by=by, target=current, count=gone)
    return gone


def checked(variables: Mapping[str, str]) -> dict[str, str]:
    """Return the variables as lists keep them: plain text in one line, without the empty ones.

    :raises UnknownVariable: a name is none of the list's variables.
    :raises ValueTooLong: a value is too long.
    """
    kept = {}
    for name, text in variables.items():
        value = plain(text)
        if name not in LENGTHS:
            raise UnknownVariable(
                _("“%(name)s” is no variable of a list. Known are: %(known)s.")
                % {"name": name, "known": ", ".join(LENGTHS)}
            )
        if len(value) > LENGTHS[name]:
            raise ValueTooLong(
                _("%(name)s has at most %(most)d characters.") % {"name": name, "most": LENGTHS[name]}, field=name
            )
        if value:
            kept[name] = value
    return kept


def _address(text: str) -> str:
    try:
        return written(parse(text))
    except BadAddress as problem:
        raise BadRecipient(
            _("“%(text)s” is not an e-mail address. %(why)s") % {"text": text.strip()[:254], "why": problem},
            field="address",
        ) from problem


def _save(recipient: Recipient) -> None:
    try:
        with transaction.atomic():
            recipient.save()
    except IntegrityError as taken:
        raise RecipientExists(
            _("%(address)s is already on this list.") % {"address": recipient.address}, field="address"
        ) from taken


def _count(recipient_list: RecipientList, difference: int) -> None:
    RecipientList.objects.filter(pk=recipient_list.pk).update(count=F("count") + difference)
