"""One mail to one recipient."""

from datetime import timedelta
from typing import ClassVar, Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower, Now
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from recipients.models import ADDRESS_COLLATION, ADDRESS_LENGTH
from sending.models.batch import Batch
from sending.models.content import Content


class Status(models.TextChoices):
    QUEUED = "queued", _("Waiting")
    DEFERRED = "deferred", _("Waiting to retry")
    DELIVERED = "delivered", _("Delivered")
    BOUNCED = "bounced", _("Bounced")  # a server refused it for good
    FAILED = "failed", _("Failed")  # we gave up
    SUPPRESSED = "suppressed", _("Suppressed")  # not tried, or not again
    CANCELED = "canceled", _("Canceled")
    UNKNOWN = "unknown", _("Outcome unknown")  # a crash hid the server's answer


WAITING = (Status.QUEUED, Status.DEFERRED)


class MessageQuerySet(models.QuerySet["Message"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account)

    def to_recipient(self, address: str) -> Self:
        return self.annotate(key=Lower("recipient")).filter(key=address.lower())

    def to_recipients(self, beginning: str) -> Self:
        """Return those to addresses that begin like that, in any letter case; `key` is the address in lower case."""
        return self.annotate(key=Lower("recipient")).filter(key__startswith=beginning.replace("\0", "").lower())


class Message(models.Model):
    """One mail to one recipient.

    Which messages are due is held by chunks (`sending.models.queue`); this row says what became of it.
    """

    # From which states an outcome may be written: the WHERE clause of the one UPDATE that records it.
    SOURCES: ClassVar[dict[str, tuple[str, ...]]] = {
        Status.DEFERRED: WAITING,
        Status.DELIVERED: (*WAITING, Status.UNKNOWN),
        Status.BOUNCED: (*WAITING, Status.UNKNOWN, Status.DELIVERED),  # a bounce can come hours later
        Status.FAILED: (*WAITING, Status.UNKNOWN),
        Status.CANCELED: WAITING,
        Status.SUPPRESSED: WAITING,  # who unsubscribes while a message waits
        Status.UNKNOWN: WAITING,
        Status.QUEUED: (Status.UNKNOWN,),  # "send the unknown ones again"
    }

    # Held by the code alone: checking three keys of each row takes longer than writing it.
    account = models.ForeignKey(Account, models.CASCADE, related_name="+", db_index=False, db_constraint=False)
    content = models.ForeignKey(Content, models.PROTECT, related_name="messages", db_index=False, db_constraint=False)
    batch = models.ForeignKey(
        Batch, models.CASCADE, null=True, related_name="messages", db_index=False, db_constraint=False
    )
    recipient = models.CharField(_("recipient"), max_length=ADDRESS_LENGTH, db_collation=ADDRESS_COLLATION)
    variables = models.JSONField(null=True)
    status = models.CharField(max_length=10, choices=Status.choices, default=Status.QUEUED)
    attempts = models.PositiveSmallIntegerField(default=0, db_default=0)
    invalid = models.BooleanField(default=False, db_default=False)  # the server says there is no such mailbox
    created_at = models.DateTimeField(default=timezone.now, db_default=Now())
    day = models.DateField()  # the account's day of acceptance; its counts belong there
    next_attempt_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    last_reply = models.TextField(blank=True, default="", db_default="")

    objects = MessageQuerySet.as_manager()

    class Meta:
        verbose_name = _("message")
        verbose_name_plural = _("messages")
        indexes = [
            models.Index(fields=["batch", "id"], name="message_by_batch"),
            models.Index("account", Lower("recipient"), name="message_by_recipient"),
            models.Index(fields=["account", "id"], condition=Q(batch=None), name="message_single"),
        ]

    def __str__(self) -> str:
        return f"{self.pk} to {self.recipient}"

    # Questions

    @property
    def is_scheduled(self) -> bool:
        """Whether it was accepted to leave at a later time, which is its `created_at` then."""
        return self.batch_id is None and self.created_at - self.content.created_at > timedelta(seconds=1)

    @property
    def is_waiting(self) -> bool:
        return self.status in WAITING
