"""What users change about themselves."""

from typing import Any

from allauth.mfa.models import Authenticator
from django.conf import settings
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor, must_be_staff
from accounts.models import User
from accounts.services.time_zones import must_be_known
from mailpush.lib.refusals import Refusal


class UnknownLanguage(Refusal):
    """The console is not translated into it."""

    code = "unknown_language"


@transaction.atomic
def change(user: User, *, name: str, language: str, time_zone: str, ip: str | None = None) -> None:
    """Keep the user's name, language (empty: the browser's) and time zone.

    :raises UnknownLanguage: it is none of LANGUAGES.
    :raises UnknownTimeZone: it is not in the time zone database.
    """
    _must_be_spoken(language)
    must_be_known(time_zone)

    user.name, user.language, user.time_zone = name.strip(), language, time_zone
    user.save(update_fields=["name", "language", "time_zone"])
    note(user, "user.profile_changed", ip=ip, name=user.name, language=language, time_zone=time_zone)


def change_language(user: User, *, language: str) -> None:
    """Keep the language the user picked in the page's corner."""
    _must_be_spoken(language)
    User.objects.filter(pk=user.pk).update(language=language)


@transaction.atomic
def remove_second_factor(user: User, *, operator: User, ip: str | None = None) -> bool:
    """Let a user who has lost it log in by password alone, and return whether there was one; for operators.

    :raises NotAllowed: `operator` is no staff.
    """
    must_be_staff(operator)

    removed, _kinds = Authenticator.objects.filter(user=user).delete()
    if removed:
        for membership in user.memberships.select_related("account"):
            by = Actor.operator(operator, membership.account, ip=ip)
            audit.record("user.second_factor_removed", by=by, target=user)
    return bool(removed)


def note(user: User, action: str, *, ip: str | None, **details: Any) -> None:
    """Write what a user did to themselves into the audit log of each of their accounts."""
    for membership in user.memberships.select_related("account"):
        membership.user = user
        audit.record(action, by=Actor.member(membership, ip=ip), target=user, **details)


def _must_be_spoken(language: str) -> None:
    if language and language not in dict(settings.LANGUAGES):
        raise UnknownLanguage(_("Choose one of the languages in the list."), field="language")
