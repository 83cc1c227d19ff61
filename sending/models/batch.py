"""One send to a list."""

from typing import ClassVar, Self

from django.db import models
from django.db.models import F, Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from recipients.models import RecipientList
from senders.models import Sender, Tag
from sending.models.content import AddressType, Content
from templates_app.models import Template


class BatchQuerySet(models.QuerySet["Batch"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account)


class Batch(models.Model):
    """A send task of the manual: an approved template to a recipient list.

    The audience is frozen as messages when it starts; names are copied, so the task list
    stays readable after list or template are gone. The counts are written together with
    the outcomes and always add up to `total`.
    """

    class Status(models.TextChoices):
        SCHEDULED = "scheduled", _("Scheduled")
        PREPARING = "preparing", _("Preparing")  # recipients become messages
        SENDING = "sending", _("Sending")
        PAUSED = "paused", _("Paused")
        CANCELED = "canceled", _("Canceled")
        DONE = "done", _("Sent")

    TRANSITIONS: ClassVar[dict[str, set[str]]] = {
        Status.SCHEDULED: {Status.PREPARING, Status.CANCELED},
        Status.PREPARING: {Status.SENDING, Status.CANCELED, Status.DONE},
        Status.SENDING: {Status.PAUSED, Status.CANCELED, Status.DONE},
        Status.PAUSED: {Status.SENDING, Status.CANCELED},
        Status.CANCELED: set(),
        Status.DONE: set(),
    }

    account = models.ForeignKey(Account, models.CASCADE, related_name="batches")
    content = models.ForeignKey(Content, models.PROTECT, related_name="+")
    sender = models.ForeignKey(Sender, models.PROTECT, related_name="+")
    tag = models.ForeignKey(Tag, models.PROTECT, null=True, related_name="+")
    list = models.ForeignKey(RecipientList, models.SET_NULL, null=True, related_name="+")
    list_name = models.CharField(max_length=64)
    template = models.ForeignKey(Template, models.SET_NULL, null=True, related_name="+")
    template_name = models.CharField(max_length=64)
    address_type = models.CharField(max_length=6, choices=AddressType.choices)
    status = models.CharField(max_length=9, choices=Status.choices, default=Status.SCHEDULED)
    # The first batch whose list this one goes to once more, to those alone who have not got it yet.
    rest_of = models.ForeignKey("self", models.SET_NULL, null=True, related_name="rests")
    # Made by the form or the program that orders: the same order given twice is one batch.
    order_key = models.UUIDField(null=True)
    created_by = models.CharField(max_length=254)
    created_at = models.DateTimeField(default=timezone.now)
    scheduled_at = models.DateTimeField()
    started_at = models.DateTimeField(null=True)
    day = models.DateField(null=True)  # the account's day its messages count for
    problem = models.TextField(blank=True)  # why it was not started
    finished_at = models.DateTimeField(null=True)

    claimed_until = models.DateTimeField(null=True)  # workers prepare it, or have been sent for

    requested = models.PositiveIntegerField(default=0)  # the list's count when it was ordered
    total = models.PositiveIntegerField(default=0)
    delivered = models.PositiveIntegerField(default=0)
    bounced = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)
    suppressed = models.PositiveIntegerField(default=0)
    canceled = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    deferred = models.PositiveIntegerField(default=0)

    objects = BatchQuerySet.as_manager()

    class Meta:
        verbose_name = _("batch")
        verbose_name_plural = _("batches")
        indexes = [
            models.Index(fields=["account", "-created_at"], name="batch_by_account"),
            models.Index(
                fields=["scheduled_at"], condition=Q(status__in=["scheduled", "preparing"]), name="batch_to_start"
            ),
        ]
        constraints = [
            models.UniqueConstraint(fields=["account", "order_key"], name="batch_ordered_once"),
            models.CheckConstraint(
                name="batch_counts_within_total",
                condition=Q(
                    total__gte=F("delivered")
                    + F("bounced")
                    + F("failed")
                    + F("suppressed")
                    + F("canceled")
                    + F("unknown")
                    + F("deferred")
                ),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.template_name} → {self.list_name}"  # in no language: the audit log keeps it

    # Questions

    @property
    def first_id(self) -> int:
        """The batch that this one belongs to the rest of; its own where it is none."""
        return self.rest_of_id or self.pk

    @property
    def waiting(self) -> int:
        """Messages that still have a try before them."""
        return self.total - self.finished

    @property
    def finished(self) -> int:
        return self.delivered + self.bounced + self.failed + self.suppressed + self.canceled + self.unknown

    @property
    def is_over(self) -> bool:
        return self.status in {self.Status.CANCELED, self.Status.DONE}

    @property
    def progress(self) -> int:
        """Percent of the audience with a final answer, 0–100."""
        expected = max(self.total, self.requested)
        return 100 * self.finished // expected if expected else 0


class Slice(models.Model):
    """A part of a batch's audience that is not messages yet: the recipients of its list above `after`, up to `last`."""

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="slices")
    after = models.BigIntegerField()
    last = models.BigIntegerField()

    def __str__(self) -> str:
        return f"{self.after} to {self.last} for {self.batch_id}"
