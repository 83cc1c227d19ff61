"""Recipient lists, their uploads, and the addresses we do not send to."""

import re
import secrets
from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account

LIST_NAME_LENGTH = 64
ADDRESS_LENGTH = 320  # 64 octets of local part, @, 255 of domain (RFC 5321 4.5.3.1)


# Byte order: addresses compare and sort alike on every server, and fast; lower() touches ASCII alone
# (local parts beyond ASCII are written in lower case to begin with).
ADDRESS_COLLATION = "C"

MESSAGE_SOURCE = re.compile(r"message (\d{1,18})")  # how delivery and the way back name what showed it


class RecipientListQuerySet(models.QuerySet["RecipientList"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account, deleted_at=None)


class RecipientList(models.Model):
    """A list of recipients; its alias address names it in API and SMTP calls."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="lists")
    name = models.CharField(_("name"), max_length=LIST_NAME_LENGTH)
    alias = models.CharField(_("alias address"), max_length=254)  # lower case
    description = models.CharField(_("description"), max_length=200, blank=True)
    count = models.PositiveIntegerField(_("recipients"), default=0)  # kept with every change of rows
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    deleted_at = models.DateTimeField(null=True, editable=False)  # gone for everybody; its rows follow in slices

    objects = RecipientListQuerySet.as_manager()

    class Meta:
        verbose_name = _("recipient list")
        verbose_name_plural = _("recipient lists")
        constraints = [
            models.UniqueConstraint(
                Lower("name"), "account", condition=Q(deleted_at__isnull=True), name="list_name_once"
            ),
            models.UniqueConstraint(
                Lower("alias"), "account", condition=Q(deleted_at__isnull=True), name="list_alias_once"
            ),
        ]

    def __str__(self) -> str:
        return self.name


class RecipientQuerySet(models.QuerySet["Recipient"]):
    def at(self, address: str) -> Self:
        return self.annotate(key=Lower("address")).filter(key=address.lower())


class Recipient(models.Model):
    """One address on a list with the values of its template variables."""

    # Both indexes below begin with it.
    list = models.ForeignKey(RecipientList, models.CASCADE, related_name="recipients", db_index=False)
    # The domain in lower-case A-label form.
    address = models.CharField(_("address"), max_length=ADDRESS_LENGTH, db_collation=ADDRESS_COLLATION)
    # By name (UserName, NickName …), all text; absent = empty.
    variables = models.JSONField(default=dict)
    created_at = models.DateTimeField(_("added"), default=timezone.now, db_default=Now())

    objects = RecipientQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint("list", Lower("address"), name="recipient_once_per_list"),
        ]
        indexes = [models.Index(fields=["list", "id"], name="recipient_by_list")]

    def __str__(self) -> str:
        return self.address


class ImportQuerySet(models.QuerySet["Import"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(list__account=account, list__deleted_at=None)

    def unfinished(self) -> Self:
        return self.filter(status__in=Import.UNFINISHED)


class Import(models.Model):
    """One uploaded file on its way into a list: read = added + updated + duplicate + invalid."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Importing")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")  # nothing of it was added; `error` says why

    UNFINISHED = (Status.QUEUED, Status.RUNNING)

    list = models.ForeignKey(RecipientList, models.CASCADE, related_name="imports")
    # Removed once the import is over: it holds personal data that nobody needs twice.
    file = models.FileField(upload_to="imports/%Y/%m/%d/", max_length=255, blank=True)
    filename = models.CharField(max_length=255)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.QUEUED)
    size = models.PositiveBigIntegerField()  # bytes
    done = models.PositiveBigIntegerField(default=0)  # bytes read so far
    encoding = models.CharField(max_length=32, blank=True)
    unused_columns = models.TextField(blank=True)  # headings that name no variable, comma-separated
    read = models.PositiveIntegerField(default=0)
    added = models.PositiveIntegerField(default=0)
    updated = models.PositiveIntegerField(default=0)
    duplicate = models.PositiveIntegerField(default=0)
    invalid = models.PositiveIntegerField(default=0)
    rejects = models.FileField(upload_to="imports/%Y/%m/%d/", max_length=255, blank=True)  # CSV: line, text, reason
    error = models.TextField(blank=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveSmallIntegerField(default=0)  # claims so far; the newest one may write
    claimed_until = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)

    objects = ImportQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["list"], condition=Q(status="running"), name="import_one_runs_per_list"),
            models.CheckConstraint(
                name="import_claimed_only_while_running",
                condition=Q(status="running", claimed_until__isnull=False)
                | (~Q(status="running") & Q(claimed_until__isnull=True)),
            ),
            models.CheckConstraint(
                name="import_reconciles",
                condition=~Q(status="done")
                | Q(read=models.F("added") + models.F("updated") + models.F("duplicate") + models.F("invalid")),
            ),
        ]

        indexes = [
            models.Index(fields=["id"], condition=Q(status__in=["queued", "running"]), name="import_unfinished"),
        ]

    def __str__(self) -> str:
        return self.filename

    # Questions

    @property
    def is_finished(self) -> bool:
        return self.status not in self.UNFINISHED

    def new_name(self, suffix: str) -> str:
        """Return a name that no other file in storage has."""
        return self.file.field.generate_filename(self, f"{secrets.token_hex(16)}{suffix}")

    @property
    def percent(self) -> int:
        return min(100, self.done * 100 // self.size) if self.size else 100


class SuppressionQuerySet(models.QuerySet["Suppression"]):
    def for_account(self, account: Account) -> Self:
        """Return the account's own; the platform's are not its business."""
        return self.filter(account=account)

    def binding(self, account_id: int, *, domain: str = "", sender: str = "") -> Self:
        """Return those that keep this account from sending through this domain and sender address.

        Left out, a domain or sender is bound by what holds for the whole account.
        """
        scope = Q(scope=Suppression.Scope.ACCOUNT)
        if domain:
            scope |= Q(scope=Suppression.Scope.DOMAIN, scope_value=domain.lower())
        if sender:
            scope |= Q(scope=Suppression.Scope.SENDER, scope_value=sender.lower())
        return self.filter(scope, Q(account_id=account_id) | Q(account=None))


class Suppression(models.Model):
    """An address we do not send to: for one account, or (account empty) for the whole platform."""

    class Reason(models.TextChoices):
        BOUNCED = "bounced", _("Mailbox does not exist")
        COMPLAINED = "complained", _("Complained")
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")
        UNREACHABLE = "unreachable", _("Mailbox full or disabled for long")
        MANUAL = "manual", _("Added by hand")

    class Scope(models.TextChoices):
        """How far an unsubscribe reaches (DirectMail's UnSubscribeFilterLevel)."""

        ACCOUNT = "account", _("the whole account")
        DOMAIN = "domain", _("a sending domain")
        SENDER = "sender", _("a sender address")

    account = models.ForeignKey(Account, models.CASCADE, null=True, related_name="suppressions")
    # Lower case, as `Address.key` has it.
    address = models.CharField(_("address"), max_length=ADDRESS_LENGTH, db_collation=ADDRESS_COLLATION)
    reason = models.CharField(max_length=12, choices=Reason.choices)
    scope = models.CharField(max_length=7, choices=Scope.choices, default=Scope.ACCOUNT)
    scope_value = models.CharField(max_length=254, blank=True)  # the domain or sender address
    source = models.CharField(max_length=254, blank=True)  # who or what put it here
    evidence = models.TextField(blank=True)  # the server's words
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())

    objects = SuppressionQuerySet.as_manager()

    class Meta:
        verbose_name = _("suppression")
        verbose_name_plural = _("suppressions")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "address", "scope", "scope_value"],
                nulls_distinct=False,
                name="suppression_once",
            ),
        ]
        indexes = [
            models.Index(fields=["address"], name="suppression_by_address"),
            models.Index(fields=["account", "-id"], name="suppression_newest"),
        ]

    def __str__(self) -> str:
        return self.address

    # Questions

    @property
    def message_id(self) -> int | None:
        """The message that is the evidence, where one is."""
        found = MESSAGE_SOURCE.fullmatch(self.source)
        return int(found[1]) if found else None

    def is_binding(self, *, domain: str, sender: str) -> bool:
        """Return whether it keeps its account from sending through this domain and sender address (as `binding`)."""
        match self.scope:
            case self.Scope.DOMAIN:
                return self.scope_value == domain.lower()
            case self.Scope.SENDER:
                return self.scope_value == sender.lower()
            case _:
                return True
