"""Recipient lists: made, renamed, deleted; and the lock that keeps their counts exact."""

from datetime import datetime, timedelta

from django.db import IntegrityError, OperationalError, connection, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account, Permission
from mailpush.lib.refusals import Refusal
from mailpush.mail.addresses import BadAddress, parse
from recipients.models import LIST_NAME_LENGTH, RecipientList

LOCK_WAIT = timedelta(seconds=5)  # an import holds the lock only while it writes to the list


class BadListName(Refusal):
    code = "bad_list_name"


class BadAlias(Refusal):
    code = "bad_alias"


class ListExists(Refusal):
    """Another list of the account has the name or the alias."""

    code = "list_exists"


class ListBusy(Refusal):
    """An import is writing to the list, or waits to."""

    code = "list_busy"


@transaction.atomic
def create(*, name: str, alias: str, description: str = "", by: Actor, now: datetime) -> RecipientList:
    """Make an empty list; its alias address names it in API and SMTP calls.

    :raises BadListName: no name, or one that is too long.
    :raises BadAlias: the alias is no e-mail address.
    :raises ListExists: name or alias are taken.
    """
    by.must(Permission.WORK)
    wanted = RecipientList(account=by.account, created_at=now)
    _describe(wanted, name=name, alias=alias, description=description)
    audit.record("list.created", by=by, target=wanted, alias=wanted.alias)
    return wanted


@transaction.atomic
def edit(recipient_list: RecipientList, *, name: str, alias: str, description: str, by: Actor) -> RecipientList:
    """Change name, alias and description.

    :raises BadListName, BadAlias, ListExists: as in `create`.
    :raises ListBusy: an import is writing to the list.
    """
    by.must(Permission.WORK)
    current = locked(recipient_list.pk, account=by.account)
    before = {"name": current.name, "alias": current.alias, "description": current.description}
    _describe(current, name=name, alias=alias, description=description)
    audit.record("list.changed", by=by, target=current, before=before)
    return current


@transaction.atomic
def delete(recipient_list: RecipientList, *, by: Actor, now: datetime) -> None:
    """Delete a list with everything on it: nobody sees it any more, its rows go later (`purging`).

    :raises ListBusy: an import runs or waits.
    """
    by.must(Permission.WORK)
    current = locked(recipient_list.pk, account=by.account)
    if current.imports.unfinished().exists():
        raise ListBusy(_("A file is being imported into this list. Delete the list when the import is over."))
    RecipientList.objects.filter(pk=current.pk).update(deleted_at=now)
    audit.record("list.deleted", by=by, target=current, recipients=current.count)


def locked(pk: int, *, account: Account) -> RecipientList:
    """Lock a list for a change of its rows or its count; inside a transaction.

    Whoever changes rows locks the list first: counts stay exact and no two changes wait for each other.

    :raises ListBusy: another change holds it for longer than people wait.
    :raises RecipientList.DoesNotExist: it was deleted meanwhile.
    """
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [f"{LOCK_WAIT.seconds}s"])
            return RecipientList.objects.for_account(account).select_for_update(no_key=True).get(pk=pk)
    except OperationalError as refused:
        raise ListBusy(_("An import is writing to this list. Try again in a minute.")) from refused


def _describe(recipient_list: RecipientList, *, name: str, alias: str, description: str) -> None:
    recipient_list.name = _name(name)
    recipient_list.alias = _alias(alias)
    recipient_list.description = description.strip()[:200]
    try:
        with transaction.atomic():
            recipient_list.save()
    except IntegrityError as taken:
        if "list_alias_once" in str(taken):
            raise ListExists(
                _("Another list has the alias address %(alias)s. Choose a different one.")
                % {"alias": recipient_list.alias},
                field="alias",
            ) from taken
        raise ListExists(
            _("Another list is called “%(name)s”. Choose a different name.") % {"name": recipient_list.name},
            field="name",
        ) from taken


def _name(name: str) -> str:
    name = " ".join(name.split())
    if not 1 <= len(name) <= LIST_NAME_LENGTH or not name.isprintable():
        raise BadListName(_("A list's name has 1 to %(most)d characters.") % {"most": LIST_NAME_LENGTH}, field="name")
    return name


def _alias(alias: str) -> str:
    try:
        return parse(alias).key
    except BadAddress as problem:
        raise BadAlias(
            _("The alias must be an e-mail address, such as customers@example.com."), field="alias"
        ) from problem
