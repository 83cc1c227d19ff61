"""Sending domains: add, check, delete; hold and release for operators."""

import re
import secrets
from datetime import datetime

from django.conf import settings
from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account, Permission
from domains.checks import advice, records, running
from domains.checks.advice import Advice
from domains.checks.records import Record
from domains.models import DkimKey, Domain, RecordCheck
from mailpush.lib import encryption
from mailpush.lib.refusals import Refusal
from mailpush.mail import dkim
from mailpush.mail.addresses import BadDomain, is_public_suffix, to_ascii_domain

SELECTOR = re.compile(r"(?=.{1,60}$)[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?", re.ASCII)
DOMAINS_AN_ACCOUNT = 1_000  # as many as DirectMail lists on a page


class NotADomain(Refusal):
    code = "not_a_domain"


class PublicSuffix(Refusal):
    """Nobody owns such a name alone."""

    code = "public_suffix"


class DomainExists(Refusal):
    code = "domain_exists"


class DomainTaken(Refusal):
    """Another account has proved it."""

    code = "domain_taken"


class TooManyDomains(Refusal):
    code = "too_many_domains"


class BeingChecked(Refusal):
    code = "being_checked"


class DomainInUse(Refusal):
    code = "domain_in_use"


class BadSelector(Refusal):
    code = "bad_selector"


def create(name: str, *, selector: str = "", by: Actor, now: datetime) -> tuple[Domain, list[Advice]]:
    """Add a domain with its DKIM key, look at its DNS once, and return it with what speaks against it.

    No transaction may be open around this, as it asks DNS.

    :param selector: where its DKIM record stands; empty lets us choose.
    :raises BadSelector: it is no DNS label.
    :raises NotADomain: the name is malformed.
    :raises PublicSuffix: it is one like co.uk.
    :raises DomainExists: the account has it.
    :raises DomainTaken: another account has proved it.
    :raises TooManyDomains: the account has DOMAINS_AN_ACCOUNT.
    """
    by.must(Permission.SETUP)
    wanted, selector = _well_formed(name), _selector(selector)
    private_key = dkim.generate_key()  # takes a tenth of a second: not in the transaction

    domain = _create(wanted, private_key, selector=selector, by=by, now=now)
    claimed = running.claim(domain, now=now)
    if claimed:
        running.run([claimed], now=now, by=by)
    domain = Domain.objects.select_related("account").with_rows().get(pk=domain.pk)
    return domain, advice.of(domain)


@transaction.atomic
def _create(name: str, private_key: dkim.PrivateKey, *, selector: str, by: Actor, now: datetime) -> Domain:
    _must_be_free(name, by.account)
    try:
        with transaction.atomic():
            domain = Domain.objects.create(
                account=by.account, name=name, created_at=now, watched_since=now, next_check_at=now
            )
    except IntegrityError as error:  # the same click, twice
        raise _exists(name) from error
    add_key(domain, private_key, selector=selector, now=now)
    audit.record("domain.created", by=by, target=name)
    return domain


def records_of(domain: Domain) -> list[Record]:
    """Return the records to publish, the required ones first, with what was last found of them."""
    return records.of(domain)


def verify(domain: Domain, *, by: Actor, now: datetime) -> Domain:
    """Check the domain's records at once and return it as it then is.

    An unverified domain is looked at often again from now on. No transaction may be open around this.

    :raises BeingChecked: a check is running.
    """
    by.must(Permission.SETUP)
    claimed = running.claim(domain, now=now)
    if claimed is None:
        raise BeingChecked(_("This domain is being checked at the moment. The results will be here in seconds."))
    claimed.watched_since = now
    running.run([claimed], now=now, by=by)
    return Domain.objects.select_related("account").with_rows().get(pk=domain.pk)


@transaction.atomic
def delete(domain: Domain, *, by: Actor, now: datetime) -> None:
    """Take the domain out of use; what was sent from it stays readable.

    :raises DomainInUse: it has sender addresses.
    """
    by.must(Permission.SETUP)
    # The same lock as for a new sender address, so that none slips in.
    domain = Domain.objects.select_for_update(no_key=True).get(pk=domain.pk)
    if domain.deleted_at:
        return
    # A question to rows of a higher app; its code is not needed.
    senders = domain.senders.filter(deleted_at=None).count()
    if senders:
        raise DomainInUse(
            _("%(name)s still has sender addresses (%(count)s). Delete them first.")
            % {"name": domain.display_name, "count": senders}
        )

    Domain.objects.filter(pk=domain.pk).update(deleted_at=now, next_check_at=None, checking_until=None)
    audit.record("domain.deleted", by=by, target=domain.name)


@transaction.atomic
def hold(domain: Domain, *, by: Actor) -> bool:
    """Suspend a verified domain until an operator releases it; returns False where it was not verified."""
    verified = Domain.objects.filter(pk=domain.pk, deleted_at=None, status=Domain.Status.VERIFIED)
    # Without a claim the results of a running check count for nothing.
    held = verified.update(status=Domain.Status.SUSPENDED, is_held=True, checking_until=None)
    if held:
        audit.record("domain.held", by=by, target=domain.name)
    return bool(held)


@transaction.atomic
def release(domain: Domain, *, by: Actor, now: datetime) -> bool:
    """Let a suspended domain send again; where its records fail, warnings and time run anew."""
    suspended = Domain.objects.filter(pk=domain.pk, deleted_at=None, status=Domain.Status.SUSPENDED)
    released = suspended.update(
        status=Domain.Status.VERIFIED,
        is_held=False,
        failing_since=None,
        failures=0,
        warned_at=None,
        checking_until=None,
        next_check_at=now,
    )
    if released:
        audit.record("domain.released", by=by, target=domain.name)
    return bool(released)


def change_key(domain: Domain, *, bits: int, by: Actor, now: datetime) -> DkimKey:
    """Sign with a new key from now on, and return it: its record is to be published at once."""
    by.must(Permission.SETUP)
    private_key = dkim.generate_key(bits)
    with transaction.atomic():
        domain = Domain.objects.for_account(by.account).select_for_update(no_key=True).get(pk=domain.pk)
        domain.dkim_keys.filter(retired_at=None).update(retired_at=now)
        key = add_key(domain, private_key, now=now)
        # Its check is about the old key, and the next one tells soon.
        domain.checks.filter(kind=RecordCheck.Kind.DKIM).delete()
        Domain.objects.filter(pk=domain.pk, next_check_at__gt=now).update(next_check_at=now)
        audit.record("domain.key_changed", by=by, target=domain.name, selector=key.selector, bits=bits)
    return key


def add_key(domain: Domain, private_key: dkim.PrivateKey, *, selector: str = "", now: datetime) -> DkimKey:
    """Give a domain without a DKIM key one; the private half is encrypted at rest."""
    # Random letters: a name that was deleted and added again must not meet its old key in DNS caches.
    return DkimKey.objects.create(
        domain=domain,
        selector=selector or f"mp{now:%Y%m}{secrets.token_hex(2)}",
        encrypted_private_key=encryption.encrypt(dkim.to_pem(private_key).decode()),
        public_record=dkim.public_record(private_key),
        created_at=now,
    )


# Rules


def _selector(text: str) -> str:
    """Return the selector in lower case: one label of letters, digits and inner hyphens (RFC 6376 section 3.1)."""
    if text and not SELECTOR.fullmatch(text):
        raise BadSelector(
            _("A DKIM selector has up to 60 letters, digits and hyphens, and no hyphen at either end."),
            field="selector",
        )
    return text.lower()


def _well_formed(name: str) -> str:
    try:
        wanted = to_ascii_domain(name)
    except BadDomain as error:
        raise NotADomain(
            _("“%(name)s” is not a domain name. Write it like mail.example.com.") % {"name": name.strip()[:100]},
            field="name",
        ) from error
    if is_public_suffix(wanted):
        raise PublicSuffix(
            _("%(name)s is an ending under which anybody registers names; it cannot be proved.") % {"name": wanted},
            field="name",
        )
    return wanted


def _must_be_free(name: str, account: Account) -> None:
    own = Domain.objects.for_account(account)
    if own.filter(name=name).exists():
        raise _exists(name)
    proved = Domain.objects.filter(name=name, deleted_at=None).exclude(status=Domain.Status.UNVERIFIED)
    if name == settings.PUBLIC_HOST or proved.exists():
        raise DomainTaken(
            _("Another account has proved %(name)s. If it is yours, write to the operator.") % {"name": name},
            field="name",
        )
    if own.count() >= DOMAINS_AN_ACCOUNT:
        raise TooManyDomains(
            _("An account has at most %(limit)s domains. Delete one that is no longer used.")
            % {"limit": DOMAINS_AN_ACCOUNT}
        )


def _exists(name: str) -> DomainExists:
    return DomainExists(_("You have %(name)s already.") % {"name": name}, field="name")
