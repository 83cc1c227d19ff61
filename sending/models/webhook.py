"""Webhooks: where an account's programs are told what happened, and how each call went."""

from datetime import datetime
from typing import Self

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from mailpush.lib import encryption

URL_LENGTH = 500


class EventKind(models.TextChoices):
    """What a webhook can be told of."""

    DELIVERED = "message.delivered", _("message delivered")
    DEFERRED = "message.deferred", _("message put off, to be tried again")
    BOUNCED = "message.bounced", _("message refused for good")
    FAILED = "message.failed", _("message given up")
    OPENED = "message.opened", _("message opened")
    CLICKED = "message.clicked", _("link of a message followed")
    COMPLAINED = "recipient.complained", _("recipient complained")
    UNSUBSCRIBED = "recipient.unsubscribed", _("recipient unsubscribed")
    RESUBSCRIBED = "recipient.resubscribed", _("recipient subscribed again")
    DOMAIN_VERIFIED = "domain.verified", _("domain verified")
    DOMAIN_FAILING = "domain.failing", _("domain's records wrong")
    DOMAIN_SUSPENDED = "domain.suspended", _("domain suspended")
    DOMAIN_RECOVERED = "domain.recovered", _("domain right again")
    TEMPLATE_APPROVED = "template.approved", _("template approved")
    TEMPLATE_REJECTED = "template.rejected", _("template rejected")


class WebhookQuerySet(models.QuerySet["Webhook"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account)


class Webhook(models.Model):
    """An address of the customer's that we call. The secret is encrypted, not hashed: signing needs it."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="webhooks")
    url = models.CharField(_("address"), max_length=URL_LENGTH)
    kinds = ArrayField(models.CharField(max_length=32, choices=EventKind.choices))
    encrypted_secret = models.TextField()
    encrypted_old_secret = models.TextField(blank=True)
    old_secret_until = models.DateTimeField(null=True)  # calls are signed with both until then
    # While it is paused its calls wait.
    paused_at = models.DateTimeField(null=True)
    pause_reason = models.TextField(blank=True)
    failing_since = models.DateTimeField(null=True)  # the first failure since the last success
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = WebhookQuerySet.as_manager()

    class Meta:
        verbose_name = _("webhook")
        verbose_name_plural = _("webhooks")

    def __str__(self) -> str:
        return self.url

    # Questions

    @property
    def is_paused(self) -> bool:
        return self.paused_at is not None

    @property
    def secret(self) -> str:
        return encryption.decrypt(self.encrypted_secret)

    def secrets(self, now: datetime) -> list[str]:
        """Return the secrets to sign with: the present one, and for a day the one before it."""
        if self.encrypted_old_secret and self.old_secret_until and now < self.old_secret_until:
            return [self.secret, encryption.decrypt(self.encrypted_old_secret)]
        return [self.secret]


class WebhookCall(models.Model):
    """Events on their way to a webhook, or there. The row is the queue."""

    class Status(models.TextChoices):
        WAITING = "waiting", _("Waiting")
        DELIVERED = "delivered", _("Delivered")
        FAILED = "failed", _("Given up")

    webhook = models.ForeignKey(Webhook, models.CASCADE, related_name="calls", db_index=False)
    events = models.JSONField()
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.WAITING)
    attempts = models.PositiveSmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(null=True)
    claimed_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index(fields=["webhook", "-id"], name="webhook_call_newest"),
            models.Index(fields=["webhook", "next_attempt_at"], condition=Q(status="waiting"), name="webhook_call_due"),
            models.Index(fields=["finished_at"], condition=Q(finished_at__isnull=False), name="webhook_call_by_age"),
        ]

    def __str__(self) -> str:
        return f"call {self.pk} of {self.webhook_id}"

    @property
    def message_id(self) -> str:
        """What its receiver tells repetitions by (Standard Webhooks)."""
        return f"call_{self.pk}"


class WebhookTry(models.Model):
    """One attempt at a call: what the other side answered, or why it could not be asked."""

    call = models.ForeignKey(WebhookCall, models.CASCADE, related_name="tries")
    at = models.DateTimeField()
    code = models.PositiveSmallIntegerField(null=True)  # HTTP status
    problem = models.TextField(blank=True)  # where there was no answer
    answer = models.TextField(blank=True)  # the beginning of the body
    seconds = models.FloatField()

    def __str__(self) -> str:
        return f"{self.code or self.problem}"


class WebhookPosition(models.Model):
    """How far a source of events has been read; the same thought as `stats.models.LedgerPosition`.

    Ids are given out before they are committed, so a row can still appear below the newest one seen. It cannot
    any more once every transaction has ended that was running at that look.
    """

    source = models.CharField(max_length=16, primary_key=True)
    read_to = models.BigIntegerField(default=0)
    newest = models.BigIntegerField(default=0)  # the newest row of an earlier look …
    next_xid = models.BigIntegerField(default=0)  # … the first transaction id not given out by then …
    looked_at = models.DateTimeField(null=True)  # … and when that was

    def __str__(self) -> str:
        return f"{self.source} {self.read_to}"
