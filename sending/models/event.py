"""The ledger: every move of every message, append-only."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models

from sending.models.message import Status


class Event(models.Model):
    """`n` messages moved from status `was` (empty: they are new) to status `status`.

    All counts follow from it by addition: what is in a status is what moved in less what moved out.
    An SMTP conversation is such a move with the server's words; a deferral moves a message from
    waiting to waiting. Rows carry no foreign keys: they outlive what they speak of.
    """

    account_id = models.BigIntegerField()
    batch_id = models.BigIntegerField(null=True)
    message_id = models.BigIntegerField(null=True)  # empty where n messages moved at once
    sender_id = models.BigIntegerField()
    tag_id = models.BigIntegerField(null=True)
    day = models.DateField()  # the day whose counts it changes: the messages' day of acceptance
    was = models.CharField(max_length=10, blank=True, choices=Status.choices)
    status = models.CharField(max_length=10, choices=Status.choices)
    n = models.PositiveIntegerField(default=1, db_default=1)
    invalid = models.BooleanField(default=False, db_default=False)
    at = models.DateTimeField()
    attempt = models.PositiveSmallIntegerField(null=True)
    host = models.CharField(max_length=320, blank=True, default="", db_default="")  # mx.example [192.0.2.1]
    code = models.PositiveSmallIntegerField(null=True)  # SMTP reply code
    failure = models.CharField(max_length=16, blank=True, default="", db_default="")  # mailpush.mail.replies.Failure
    reply = models.TextField(blank=True, default="", db_default="")  # the server's words, or ours where none answered
    tls = models.BooleanField(null=True)
    seconds = models.FloatField(null=True)  # how long the conversation took

    class Meta:
        indexes = [
            models.Index(fields=["message_id"], condition=models.Q(message_id__isnull=False), name="event_by_message"),
            BrinIndex(fields=["at"], name="event_by_time"),
            BrinIndex(fields=["day"], name="event_by_day"),
        ]

    def __str__(self) -> str:
        return f"{self.n} × {self.was or 'new'} → {self.status}"
