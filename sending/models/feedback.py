"""What readers did about a message: complained, unsubscribed, subscribed again."""

from datetime import datetime

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from sending.models.message import Message


class Feedback(models.Model):
    """One thing a reader did, append-only: suppressions come and go, this stays. No foreign keys, as in `Event`."""

    class Kind(models.TextChoices):
        COMPLAINED = "complained", _("Complained")
        UNSUBSCRIBED = "unsubscribed", _("Unsubscribed")
        RESUBSCRIBED = "resubscribed", _("Subscribed again")

    account_id = models.BigIntegerField()
    batch_id = models.BigIntegerField(null=True)
    message_id = models.BigIntegerField()
    sender_id = models.BigIntegerField()
    recipient = models.CharField(max_length=320)
    kind = models.CharField(max_length=12, choices=Kind.choices)
    via = models.CharField(max_length=40, blank=True)  # one-click, page, mail; of a complaint: its kind
    at = models.DateTimeField()

    class Meta:
        indexes = [
            models.Index(fields=["message_id"], name="feedback_by_message"),
            models.Index(fields=["account_id", "-id"], name="feedback_newest"),
        ]
        constraints = [
            # The same complaint comes twice, or from two providers; it is one.
            models.UniqueConstraint(
                fields=["message_id"], condition=Q(kind="complained"), name="feedback_complained_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.recipient} {self.kind}"

    @staticmethod
    def note(message: Message, kind: "Feedback.Kind", *, via: str, at: datetime) -> None:
        """Write it down; a complaint that is known stays one."""
        row = Feedback(
            account_id=message.account_id,
            batch_id=message.batch_id,
            message_id=message.pk,
            sender_id=message.content.sender_id,
            recipient=message.recipient,
            kind=kind,
            via=via[:40],
            at=at,
        )
        Feedback.objects.bulk_create([row], ignore_conflicts=True)
