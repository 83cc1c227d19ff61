"""Configuration sets: what several sender addresses have in common."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from senders.models import CONFIG_SET_LENGTH, ConfigSet, Sender, SourcePool

SETS_AN_ACCOUNT = 500


class BadConfigSet(Refusal):
    code = "bad_config_set"


class ConfigSetExists(Refusal):
    code = "config_set_exists"


class TooManyConfigSets(Refusal):
    code = "too_many_config_sets"


class ConfigSetInUse(Refusal):
    """Sender addresses belong to it."""

    code = "config_set_in_use"


class OtherConfigSet(Refusal):
    """The sender address belongs to another one, or to none."""

    code = "other_config_set"


@dataclass(frozen=True, slots=True)
class Settings:
    """What a configuration set says. Recipients are refused by the verdict of their examination, or its detail."""

    name: str
    description: str = ""
    pool: SourcePool | None = None
    is_backing_off: bool = False
    is_validating: bool = False
    refused_statuses: Sequence[str] = ()
    refused_sub_statuses: Sequence[str] = ()


@transaction.atomic
def create(wanted: Settings, *, by: Actor, now: datetime) -> ConfigSet:
    """Make a configuration set that no sender address belongs to yet.

    :raises BadConfigSet: name or description are too long, or there is no name.
    :raises ConfigSetExists: the account has one of this name.
    :raises TooManyConfigSets: the account has SETS_AN_ACCOUNT.
    """
    by.must(Permission.WORK)
    if by.account.config_sets.count() >= SETS_AN_ACCOUNT:
        raise TooManyConfigSets(_("An account has at most %(limit)s configuration sets.") % {"limit": SETS_AN_ACCOUNT})
    made = ConfigSet(account=by.account, created_at=now)
    _write(made, wanted)
    audit.record("config_set.created", by=by, target=made)
    return made


@transaction.atomic
def change(config_set: ConfigSet, wanted: Settings, *, by: Actor) -> None:
    """Change everything it says; what is sent from now on follows.

    :raises BadConfigSet, ConfigSetExists: as in `create`.
    """
    by.must(Permission.WORK)
    _write(config_set, wanted)
    audit.record("config_set.changed", by=by, target=config_set)


@transaction.atomic
def delete(sets: Sequence[ConfigSet], *, is_forced: bool, by: Actor) -> None:
    """Delete all of them or none.

    :raises ConfigSetInUse: sender addresses belong to one, and it is not forced.
    """
    by.must(Permission.WORK)
    used = Sender.objects.for_account(by.account).filter(config_set__in=sets).first()
    if used and not is_forced:
        raise ConfigSetInUse(
            _("%(sender)s belongs to the configuration set %(name)s. Take it out first.")
            % {"sender": used, "name": used.config_set}
        )
    for each in sets:
        name = each.name
        each.delete()
        audit.record("config_set.deleted", by=by, target=name)


@transaction.atomic
def relate(config_set: ConfigSet, sender: Sender, *, by: Actor) -> None:
    """Make a sender address belong to the set.

    :raises OtherConfigSet: it belongs to another.
    """
    by.must(Permission.WORK)
    rows = Sender.objects.for_account(by.account).filter(pk=sender.pk)
    if not rows.filter(config_set__in=[config_set.pk]).exists() and not rows.filter(config_set=None).update(
        config_set=config_set
    ):
        raise OtherConfigSet(_("%(sender)s belongs to another configuration set.") % {"sender": sender})
    audit.record("config_set.related", by=by, target=config_set, sender=sender.address)


@transaction.atomic
def unrelate(config_set: ConfigSet, sender: Sender, *, by: Actor) -> None:
    """Take a sender address out of the set.

    :raises OtherConfigSet: it does not belong to it.
    """
    by.must(Permission.WORK)
    rows = Sender.objects.for_account(by.account).filter(pk=sender.pk, config_set=config_set)
    if not rows.update(config_set=None):
        raise OtherConfigSet(
            _("%(sender)s does not belong to the configuration set %(name)s.") % {"sender": sender, "name": config_set}
        )
    audit.record("config_set.unrelated", by=by, target=config_set, sender=sender.address)


def _write(config_set: ConfigSet, wanted: Settings) -> None:
    name, description = wanted.name.strip(), wanted.description.strip()
    if not 0 < len(name) <= CONFIG_SET_LENGTH or len(description) > CONFIG_SET_LENGTH or not name.isprintable():
        raise BadConfigSet(
            _("A configuration set has a name, and name and description have at most %(limit)s characters.")
            % {"limit": CONFIG_SET_LENGTH},
            field="name",
        )
    config_set.name, config_set.description, config_set.pool = name, description, wanted.pool
    config_set.is_backing_off, config_set.is_validating = wanted.is_backing_off, wanted.is_validating
    config_set.refused_statuses = [status[:40] for status in wanted.refused_statuses]
    config_set.refused_sub_statuses = [status[:40] for status in wanted.refused_sub_statuses]
    try:
        with transaction.atomic():
            config_set.save()
    except IntegrityError as error:
        raise ConfigSetExists(
            _("You have a configuration set “%(name)s” already.") % {"name": name}, field="name"
        ) from error
