"""Tags sort what was sent."""

import unicodedata
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from senders.models import DESCRIPTION_LENGTH, TAG_LENGTH, Tag


class BadTagName(Refusal):
    code = "bad_tag_name"


class TagExists(Refusal):
    code = "tag_exists"


@transaction.atomic
def create(name: str, *, description: str = "", by: Actor, now: datetime) -> Tag:
    """Create a tag.

    :raises BadTagName: see `well_formed`.
    :raises TagExists: the account has one of this name, in whatever letter case.
    """
    by.must(Permission.WORK)
    tag = Tag(account=by.account, name=well_formed(name), description=_described(description), created_at=now)
    _save(tag)
    audit.record("tag.created", by=by, target=tag)
    return tag


def rename(tag: Tag, name: str, *, by: Actor) -> None:
    """Rename a tag; see `change`."""
    change(tag, name=name, description=tag.description, by=by)


@transaction.atomic
def change(tag: Tag, *, name: str, description: str, by: Actor) -> None:
    """Change name and description of a tag, also in the statistics of what was sent with it.

    :raises BadTagName: see `well_formed`.
    :raises TagExists: the account has another of this name.
    """
    by.must(Permission.WORK)
    before = tag.name, tag.description
    tag.name, tag.description = well_formed(name), _described(description)
    if (tag.name, tag.description) == before:
        return
    _save(tag)
    audit.record("tag.renamed" if tag.name != before[0] else "tag.described", by=by, target=tag, before=before[0])


@transaction.atomic
def delete(tag: Tag, *, by: Actor, now: datetime) -> None:
    """Take a tag out of use; what was sent with it still shows it."""
    by.must(Permission.WORK)
    if Tag.objects.filter(pk=tag.pk, deleted_at=None).update(deleted_at=now):
        audit.record("tag.deleted", by=by, target=tag)


def well_formed(name: str) -> str:
    """Return the name as it is kept.

    :raises BadTagName: it is not 1 to 128 letters of any script, digits, `_` and `-`.
    """
    name = unicodedata.normalize("NFC", name.strip())
    # Marks belong to letters: many scripts write vowels with them.
    if not 1 <= len(name) <= TAG_LENGTH or not all(
        letter in "_-" or unicodedata.category(letter)[0] in "LMN" for letter in name
    ):
        raise BadTagName(
            _("A tag has 1 to %(limit)s letters, digits, “_” and “-”, without spaces.") % {"limit": TAG_LENGTH},
            field="name",
        )
    return name


def _described(description: str) -> str:
    return " ".join(description.replace("\0", "").split())[:DESCRIPTION_LENGTH]


def _save(tag: Tag) -> None:
    try:
        with transaction.atomic():
            tag.save()
    except IntegrityError as error:  # tag_name_once
        raise TagExists(_("You have a tag “%(name)s” already.") % {"name": tag.name}, field="name") from error
