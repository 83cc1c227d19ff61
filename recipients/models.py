"""Recipient lists, their uploads, and the addresses we do not send to."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account

LIST_NAME_LENGTH = 64
ADDRESS_LENGTH = 320  # 64 octets of local part, @, 255 of domain (RFC 5321 4.5.3.1)


class RecipientListQuerySet(models.QuerySet["RecipientList"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account)


class RecipientList(models.Model):
    """A list of recipients; its alias address names it in API and SMTP calls."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="lists")
    name = models.CharField(_("name"), max_length=LIST_NAME_LENGTH)
    alias = models.CharField(_("alias address"), max_length=254)  # lower case
    description = models.CharField(_("description"), max_length=200, blank=True)
    count = models.PositiveIntegerField(_("recipients"), default=0)  # kept with every change of rows
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    objects = RecipientListQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("name"), "account", name="list_name_once"),
            models.UniqueConstraint(Lower("alias"), "account", name="list_alias_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Recipient(models.Model):
    """One address on a list with the values of its template variables."""

    list = models.ForeignKey(RecipientList, models.CASCADE, related_name="recipients")
    address = models.CharField(_("address"), max_length=ADDRESS_LENGTH)  # domain in lower-case A-label form
    # {"UserName": "…", "NickName": "…", "Gender": "…", "Birthday": "…", "Mobile": "…"}; absent = empty
    variables = models.JSONField(default=dict)
    created_at = models.DateTimeField(_("added"), default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint("list", Lower("address"), name="recipient_once_per_list"),
        ]

    def __str__(self) -> str:
        return self.address


class Import(models.Model):
    """One uploaded file on its way into a list: read = added + updated + duplicate + invalid."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Importing")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")  # nothing of it was added; `error` says why

    list = models.ForeignKey(RecipientList, models.CASCADE, related_name="imports")
    file = models.FileField(upload_to="imports/%Y/%m/%d/", max_length=255)
    filename = models.CharField(max_length=255)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.QUEUED)
    size = models.PositiveBigIntegerField()  # bytes
    done = models.PositiveBigIntegerField(default=0)  # bytes read so far
    encoding = models.CharField(max_length=32, blank=True)
    read = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    duplicate = models.PositiveIntegerField(default=0)
    invalid = models.PositiveIntegerField(default=0)
    rejects = models.FileField(upload_to="imports/%Y/%m/%d/", max_length=255, blank=True)  # CSV: line, text, reason
    error = models.TextField(blank=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now)
    claimed_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="import_reconciles",
                condition=~Q(status="done")
                | Q(read=models.F("added") + models.F("updated") + models.F("duplicate") + models.F("invalid")),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.filename} into {self.list}"


class Suppression(models.Model):
    """An address we do not send to: for one account, or (account empty) for the whole platform."""

    class Reason(models.TextChoices):
        BOUNCED = "bounced", _("Mailbox does not exist")
        COMPLAINED = "complained", _("Complained")
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")
        MANUAL = "manual", _("Added by hand")

    class Scope(models.TextChoices):
        """How far an unsubscribe reaches (DirectMail's UnSubscribeFilterLevel)."""

        ACCOUNT = "account", _("the whole account")
        DOMAIN = "domain", _("a sending domain")
        SENDER = "sender", _("a sender address")

    account = models.ForeignKey(Account, models.CASCADE, null=True, related_name="suppressions")
    address = models.CharField(max_length=ADDRESS_LENGTH)  # lower case
    reason = models.CharField(max_length=12, choices=Reason.choices)
    scope = models.CharField(max_length=7, choices=Scope.choices, default=Scope.ACCOUNT)
    scope_value = models.CharField(max_length=254, blank=True)  # the domain or sender address
    source = models.CharField(max_length=254, blank=True)  # who or what put it here
    evidence = models.TextField(blank=True)  # the server's words
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "address", "scope", "scope_value"],
                nulls_distinct=False,
                name="suppression_once",
            ),
        ]
        indexes = [models.Index(fields=["address"], name="suppression_by_address")]

    def __str__(self) -> str:
        return self.address
