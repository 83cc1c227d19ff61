"""Sending domains, the DNS records their owners publish, and their DKIM keys."""

import secrets
from datetime import datetime
from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from mailpush.lib import encryption
from mailpush.mail import dkim
from mailpush.mail.addresses import display_domain


def new_ownership_token() -> str:
    return secrets.token_hex(16)


class DomainQuerySet(models.QuerySet["Domain"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account, deleted_at=None)

    def usable(self) -> Self:
        return self.filter(status=Domain.Status.VERIFIED, deleted_at=None)

    def free_to_check(self, now: datetime) -> Self:
        """Return those that nobody is checking at present."""
        return self.filter(Q(checking_until=None) | Q(checking_until__lte=now), deleted_at=None)

    def due(self, now: datetime) -> Self:
        return self.free_to_check(now).filter(next_check_at__lte=now)

    def with_rows(self) -> Self:
        """Bring along the DKIM keys and the last checks: all that a look at its records needs."""
        return self.prefetch_related("dkim_keys", "checks")


class Domain(models.Model):
    """A domain mail is sent from; `name` is the lower-case A-label form."""

    class Status(models.TextChoices):
        UNVERIFIED = "unverified", _("Waiting for DNS records")
        VERIFIED = "verified", _("Verified")
        SUSPENDED = "suspended", _("Suspended")  # was verified; its records have failed for days, or it is held

    account = models.ForeignKey(Account, models.CASCADE, related_name="domains")
    name = models.CharField(_("domain"), max_length=253)
    status = models.CharField(_("status"), max_length=10, choices=Status.choices, default=Status.UNVERIFIED)
    ownership_token = models.CharField(max_length=64, default=new_ownership_token)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    verified_at = models.DateTimeField(null=True)
    checked_at = models.DateTimeField(null=True)
    next_check_at = models.DateTimeField(null=True, default=timezone.now)
    # Unverified: since when its owner has been waiting; looks grow rarer from then on.
    watched_since = models.DateTimeField(default=timezone.now)
    # Whoever set it is looking the records up now; it is also the fencing token of what they write.
    checking_until = models.DateTimeField(null=True)
    # Since when the required records have really failed (a silent resolver does not count).
    failing_since = models.DateTimeField(null=True)
    failures = models.PositiveIntegerField(default=0)
    warned_at = models.DateTimeField(null=True)
    # Suspended by an operator: good records alone do not bring it back.
    is_held = models.BooleanField(_("held by an operator"), default=False)
    deleted_at = models.DateTimeField(null=True)

    objects = DomainQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "name"], condition=Q(deleted_at=None), name="domain_once_per_account"
            ),
            # A domain belongs to whoever proved it.
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(deleted_at=None) & ~Q(status="unverified"),
                name="domain_proved_once",
            ),
            models.CheckConstraint(
                condition=Q(is_held=False) | Q(status="suspended"), name="domain_held_means_suspended"
            ),
        ]
        indexes = [
            models.Index(fields=["next_check_at"], condition=Q(deleted_at=None), name="domain_check_due"),
        ]

    def __str__(self) -> str:
        return self.display_name

    # Questions

    @property
    def display_name(self) -> str:
        """The name as its owner writes it (U-label)."""
        return display_domain(self.name)

    @property
    def may_send(self) -> bool:
        return self.status == self.Status.VERIFIED and self.deleted_at is None

    @property
    def key_in_use(self) -> "DkimKey":
        """The key that signs its mail; every domain has one from the start."""
        return next(key for key in self.dkim_keys.all() if key.retired_at is None)

    @property
    def ownership_host(self) -> str:
        return f"{settings.MAILPUSH_OWNERSHIP_LABEL}.{self.name}"

    @property
    def tracking_host(self) -> str:
        return f"track.{self.name}"


class DkimKey(models.Model):
    """A signing key of a domain; its public half stands at `<selector>._domainkey.<domain>`."""

    domain = models.ForeignKey(Domain, models.CASCADE, related_name="dkim_keys")
    selector = models.CharField(max_length=63)
    encrypted_private_key = models.TextField()  # PEM (PKCS #8)
    public_record = models.TextField()  # v=DKIM1; k=rsa; p=…
    created_at = models.DateTimeField(default=timezone.now)
    retired_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["domain", "selector"], name="dkim_selector_once"),
            models.UniqueConstraint(fields=["domain"], condition=Q(retired_at=None), name="dkim_one_key_in_use"),
        ]

    def __str__(self) -> str:
        return self.host

    # Questions

    @property
    def host(self) -> str:
        return f"{self.selector}._domainkey.{self.domain.name}"

    @property
    def private_key(self) -> str:
        return encryption.decrypt(self.encrypted_private_key)

    @property
    def bits(self) -> int:
        """The length of an RSA key, as its public half tells."""
        return dkim.record_bits(self.public_record)


class RecordCheck(models.Model):
    """What the last look-up of one of a domain's records found."""

    class Kind(models.TextChoices):
        OWNERSHIP = "ownership", _("Ownership")
        SPF = "spf", _("SPF")
        MX = "mx", _("MX")
        DKIM = "dkim", _("DKIM")
        DMARC = "dmarc", _("DMARC")
        TRACKING = "tracking", _("Tracking CNAME")

    REQUIRED = (Kind.OWNERSHIP, Kind.SPF, Kind.MX)

    class Outcome(models.TextChoices):
        PASSED = "passed", _("Passed")
        MISSING = "missing", _("Missing")
        WRONG = "wrong", _("Found something else")
        NO_ANSWER = "no_answer", _("DNS did not answer")

    domain = models.ForeignKey(Domain, models.CASCADE, related_name="checks")
    kind = models.CharField(max_length=10, choices=Kind.choices)
    outcome = models.CharField(max_length=10, choices=Outcome.choices)
    found = models.JSONField(default=list)  # record texts, as the name server gave them
    reason = models.CharField(max_length=32, blank=True)  # machine word, see mailpush.mail.records
    detail = models.TextField(blank=True)
    checked_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["domain", "kind"], name="check_once_per_kind")]

    def __str__(self) -> str:
        return f"{self.kind} of {self.domain}: {self.outcome}"

    # Questions

    @property
    def is_failure(self) -> bool:
        """Whether a required record is really not right; silence says nothing."""
        return self.kind in self.REQUIRED and self.outcome in {self.Outcome.MISSING, self.Outcome.WRONG}
