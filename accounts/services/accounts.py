"""Accounts: opening one, its settings, and what operators do to it."""

from datetime import datetime

from allauth.account.models import EmailAddress
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import NAME_LENGTH, Account, Membership, Permission, Role, User
from accounts.services.time_zones import must_be_known
from mailpush.lib.refusals import Refusal


class EmailTaken(Refusal):
    """Somebody logs in with it already."""

    code = "email_taken"


class BadEmail(Refusal):
    """Nobody can have such an address."""

    code = "bad_email"


class PasswordTooWeak(Refusal):
    """Sign-up would not take it either."""

    code = "password_too_weak"


class NameMissing(Refusal):
    """An account is called something."""

    code = "name_missing"


@transaction.atomic
def create_account(*, email: str, password: str, now: datetime, staff: bool = False) -> Membership:
    """Create a user whose address counts as proved, and the account they own.

    :raises BadEmail: it is no e-mail address.
    :raises EmailTaken: a user has it.
    :raises PasswordTooWeak: it is short, common, all digits, or much like the address.
    """
    email = email.strip().lower()
    _must_be_free(email)
    _must_be_strong(password, User(email=email))

    try:
        with transaction.atomic():
            user = User.objects.create_user(email, password, is_staff=staff, is_superuser=staff)
            EmailAddress.objects.create(user=user, email=email, verified=True, primary=True)
    except IntegrityError as error:  # somebody was faster
        raise _taken(email) from error
    return open_account(user, now=now)


@transaction.atomic
def open_account(user: User, *, now: datetime, name: str = "") -> Membership:
    """Make the user the owner of a new account; its days begin at midnight of their time zone."""
    account = Account.objects.create(
        name=(name.strip() or user.email)[:NAME_LENGTH],
        time_zone=user.time_zone,
        created_at=now,
    )
    membership = Membership.objects.create(account=account, user=user, role=Role.OWNER, created_at=now)
    audit.record("account.created", by=Actor.member(membership), target=account)
    return membership


@transaction.atomic
def change_settings(*, by: Actor, name: str, time_zone: str, directmail_replies: bool | None = None) -> None:
    """Rename the account, set where its days begin, and which reply codes its programs get over SMTP (None: as now).

    :raises NameMissing: the name is empty.
    :raises UnknownTimeZone: the time zone database does not have it.
    """
    by.must(Permission.SETUP)
    if not name.strip():
        raise NameMissing(_("Give the account a name."), field="name")
    must_be_known(time_zone)

    account = by.account
    before = _settings(account)
    account.name, account.time_zone = " ".join(name.split()), time_zone  # it stands in subjects of mails
    if directmail_replies is not None:
        account.directmail_replies = directmail_replies
    account.save(update_fields=list(before))
    if (after := _settings(account)) != before:
        audit.record("account.changed", by=by, target=account, before=before, after=after)


def _settings(account: Account) -> dict[str, str | bool]:
    return {
        "name": account.name,
        "time_zone": account.time_zone,
        "directmail_replies": account.directmail_replies,
    }


@transaction.atomic
def suspend(*, by: Actor) -> bool:
    """Stop the account from sending, and return whether it could until now; for operators. What it queued waits."""
    return _set_active(by, active=False)


@transaction.atomic
def resume(*, by: Actor) -> bool:
    """Let the account send again, and return whether it was suspended; for operators."""
    return _set_active(by, active=True)


@transaction.atomic
def set_quota(*, by: Actor, daily: int, monthly: int, requests: int | None = None) -> None:
    """Set how many messages the account may send a day and a month, and its API requests a minute; for operators."""
    by.must_operate()

    account = by.account
    account.daily_quota, account.monthly_quota = daily, monthly
    account.requests_a_minute = account.requests_a_minute if requests is None else requests
    account.save(update_fields=["daily_quota", "monthly_quota", "requests_a_minute"])
    audit.record(
        "account.quota_set",
        by=by,
        target=account,
        daily=daily,
        monthly=monthly,
        requests_a_minute=account.requests_a_minute,
    )


def _set_active(by: Actor, *, active: bool) -> bool:
    by.must_operate()

    changed = Account.objects.filter(pk=by.account.pk, is_active=not active).update(is_active=active)
    if changed:
        by.account.is_active = active
        audit.record("account.resumed" if active else "account.suspended", by=by, target=by.account)
    return bool(changed)


def _must_be_free(email: str) -> None:
    try:
        validate_email(email)
    except ValidationError as error:
        raise BadEmail(_("“%(email)s” is not an e-mail address.") % {"email": email}, field="email") from error
    if User.objects.filter(email=email).exists() or EmailAddress.objects.filter(email=email, verified=True).exists():
        raise _taken(email)


def _must_be_strong(password: str, user: User) -> None:
    try:
        validate_password(password, user)
    except ValidationError as error:
        raise PasswordTooWeak(" ".join(error.messages), field="password") from error


def _taken(email: str) -> EmailTaken:
    return EmailTaken(_("%(email)s already has an account. Use another address.") % {"email": email}, field="email")
