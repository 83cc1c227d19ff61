"""Sender addresses: created on verified domains, opened to SMTP, frozen by operators, deleted.

Of an SMTP password a salted SHA-256 is stored, encrypted with MAILPUSH_ENCRYPTION_KEYS. A slow hash would
cost milliseconds at each of thousands of SMTP logins a second. It guards against guessing on a stolen
database, and here that database is of no use without the keys, which are kept elsewhere; guessing at the
SMTP door is bounded by its login locks.
"""

import base64
from datetime import datetime

from django.db import IntegrityError, transaction
from django.utils.text import get_text_list
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from domains.models import Domain, RecordCheck
from mailpush.lib import encryption
from mailpush.lib.refusals import Refusal
from mailpush.mail import addresses, passwords
from mailpush.mail.passwords import Weakness
from senders.models import Sender, Stream
from senders.services import reply_addresses

WEAKNESSES = {
    Weakness.LENGTH: gettext_lazy("It must have 10 to 20 characters."),
    Weakness.CHARACTERS: gettext_lazy("It may have letters without accents, digits and signs, but no spaces."),
    Weakness.DIGITS: gettext_lazy("It needs at least two digits."),
    Weakness.UPPER: gettext_lazy("It needs at least two upper-case letters."),
    Weakness.LOWER: gettext_lazy("It needs at least two lower-case letters."),
}


class DomainNotFound(Refusal):
    code = "domain_not_found"


class DomainNotVerified(Refusal):
    code = "domain_not_verified"


class BadLocalPart(Refusal):
    code = "bad_local_part"


class UnknownStream(Refusal):
    code = "unknown_stream"


class AddressExists(Refusal):
    code = "address_exists"


class WeakPassword(Refusal):
    code = "weak_password"


class SamePassword(Refusal):
    code = "same_password"


@transaction.atomic
@transaction.atomic
def change_crash_policy(sender: Sender, *, resends_unknown: bool, by: Actor) -> None:
    """Say what becomes of mails whose outcome a crash has hidden: they are sent again, or left as they are."""
    by.must(Permission.WORK)
    before = {"resends_unknown": sender.sends_unknown_again}
    Sender.objects.filter(pk=sender.pk).update(resends_unknown=resends_unknown)
    audit.record("sender.crash_policy_changed", by=by, target=sender, before=before)


def create(account_part: str, *, domain_id: int, stream: str, reply_to: str = "", by: Actor, now: datetime) -> Sender:
    """Create `account_part@domain`; address and stream stay as they are for good.

    A reply address gets a link mailed and is used once it is confirmed.

    :raises DomainNotFound: the account has no such domain.
    :raises DomainNotVerified: naming the records that are missing.
    :raises BadLocalPart: the account part is malformed.
    :raises UnknownStream: neither `trigger` nor `batch`.
    :raises AddressExists: the account has it.
    :raises reply_addresses.BadReplyAddress: the reply address is malformed.
    :raises reply_addresses.NoMailboxThere: nobody would read the replies.
    """
    by.must(Permission.WORK)
    # The same lock as for deleting the domain, so that neither overtakes the other.
    domain = Domain.objects.for_account(by.account).select_for_update(no_key=True).filter(pk=domain_id).first()
    if domain is None:
        raise DomainNotFound(_("There is no such domain. Choose one of yours."), field="domain")
    if not domain.may_send:
        raise DomainNotVerified(_what_is_missing(domain), field="domain")
    if stream not in Stream.values:
        raise UnknownStream(_("The type is either trigger or batch."), field="stream")
    sender = Sender(
        account=by.account,
        domain=domain,
        address=_address(account_part, domain),
        stream=stream,
        reply_to=reply_addresses.well_formed(reply_to),
        created_at=now,
    )
    _insert(sender)
    if sender.reply_to:
        reply_addresses.ask(sender, now=now)
        sender.save(update_fields=["reply_to_asked_at"])
    audit.record("sender.created", by=by, target=sender, stream=stream)
    return sender


@transaction.atomic
def delete(sender: Sender, *, by: Actor, now: datetime) -> None:
    """Take the address out of use; what it sent stays readable."""
    by.must(Permission.WORK)
    if Sender.objects.filter(pk=sender.pk, deleted_at=None).update(deleted_at=now, smtp_password_hash=""):
        audit.record("sender.deleted", by=by, target=sender)


@transaction.atomic
def freeze(sender: Sender, *, by: Actor) -> bool:
    """Stop the address from sending, as an operator does with abuse; return False where it was frozen."""
    return _set_frozen(sender, by, frozen=True)


@transaction.atomic
def unfreeze(sender: Sender, *, by: Actor) -> bool:
    """Let the address send again; return False where it was not frozen."""
    return _set_frozen(sender, by, frozen=False)


def _set_frozen(sender: Sender, by: Actor, *, frozen: bool) -> bool:
    changed = Sender.objects.filter(pk=sender.pk, is_frozen=not frozen).update(is_frozen=frozen)
    if changed:
        audit.record("sender.frozen" if frozen else "sender.unfrozen", by=by, target=sender)
    return bool(changed)


# SMTP


@transaction.atomic
def set_smtp_password(sender: Sender, password: str, *, by: Actor) -> None:
    """Open SMTP for the sender, or change the password; the old one stops working at once.

    :raises WeakPassword: it breaks the rule; the sentence names every part of it.
    :raises SamePassword: it is the present one.
    """
    by.must(Permission.WORK)
    broken = passwords.weaknesses(password)
    if broken:
        raise WeakPassword(" ".join(str(WEAKNESSES[weakness]) for weakness in broken), field="password")
    sender = Sender.objects.select_for_update(no_key=True).get(pk=sender.pk)
    if check_smtp_password(sender, password):
        raise SamePassword(_("That is the present password. Choose another."), field="password")

    stored = encryption.encrypt(base64.b64encode(passwords.digest(password)).decode())
    Sender.objects.filter(pk=sender.pk).update(smtp_password_hash=stored)
    audit.record("sender.smtp_password_set", by=by, target=sender)


def generate_smtp_password(sender: Sender, *, by: Actor) -> str:
    """Set a good password and return it, to be shown this once."""
    password = passwords.generate()
    set_smtp_password(sender, password, by=by)
    return password


@transaction.atomic
def clear_smtp_password(sender: Sender, *, by: Actor) -> None:
    """Close SMTP for the sender."""
    by.must(Permission.WORK)
    if Sender.objects.filter(pk=sender.pk).exclude(smtp_password_hash="").update(smtp_password_hash=""):
        audit.record("sender.smtp_closed", by=by, target=sender)


def check_smtp_password(sender: Sender, password: str) -> bool:
    """Return whether the password opens SMTP for the sender, as the row in hand has it."""
    if not sender.smtp_password_hash:
        return False
    try:
        stored = base64.b64decode(encryption.decrypt(sender.smtp_password_hash))
    except encryption.NotReadable:  # its key was taken out of the settings: a new password must be set
        return False
    return passwords.matches(password, stored)


# Rules


def _what_is_missing(domain: Domain) -> str:
    if domain.status == Domain.Status.SUSPENDED:
        return _("%(name)s is suspended. See the page of the domain for what to do.") % {"name": domain.display_name}
    passed = {check.kind for check in domain.checks.all() if check.outcome == RecordCheck.Outcome.PASSED}
    lacking = [str(kind.label) for kind in RecordCheck.REQUIRED if kind not in passed]
    return _("%(name)s is not verified yet: the %(records)s record is still missing or wrong.") % {
        "name": domain.display_name,
        "records": get_text_list(lacking, _("and")) if lacking else RecordCheck.Kind.OWNERSHIP.label,
    }


def _address(account_part: str, domain: Domain) -> str:
    """Return the address in lower case; its local part is a dot-string (RFC 5321 section 4.1.2)."""
    local = account_part.strip()
    try:
        address = addresses.parse(f"{local}@{domain.name}")
    except addresses.BadAddress:
        address = None
    if address is None or address.local != local or not local.isascii():
        raise BadLocalPart(
            _(
                "“%(local)s” cannot stand before the @. Use up to 64 letters without accents, digits and "
                "signs such as . _ - without spaces, and no dot at either end."
            )
            % {"local": local[:80]},
            field="account_part",
        )
    return str(address).lower()


def _insert(sender: Sender) -> None:
    try:
        with transaction.atomic():
            sender.save()
    except IntegrityError as error:  # sender_address_once
        raise AddressExists(
            _("You have %(address)s already.") % {"address": sender.address}, field="account_part"
        ) from error
