"""The ledger: every move of every message, append-only."""

from django.contrib.postgres.indexes import BrinIndex
from django.db import models
from django.utils.translation import gettext_lazy as _

from sending.models.message import Status


class Event(models.Model):
    """`n` messages moved from status `was` (empty: they are new) to status `status`.

    All counts follow from it by addition: what is in a status is what moved in less what moved out.
    An SMTP conversation is such a move with the server's words; a deferral moves a message from
    waiting to waiting. Rows carry no foreign keys: they outlive what they speak of.

    What readers do stands here, too, beside the statuses: the first open moves a message from unread to opened, every
    other one from opened to opened. Where a machine has looked, `n` is 0.
    """

    class Act(models.TextChoices):
        OPENED = "opened", _("Opened")
        CLICKED = "clicked", _("Link followed")

    class Reader(models.TextChoices):
        PERSON = "person", _("a person")
        PROXY = "proxy", _("a mail provider for somebody")  # of an open: perhaps nobody has looked
        MACHINE = "machine", _("a machine")  # a scanner, or before anybody could have seen the mail

    UNREAD = "unread"

    account_id = models.BigIntegerField()
    batch_id = models.BigIntegerField(null=True)
    message_id = models.BigIntegerField(null=True)  # empty where n messages moved at once
    sender_id = models.BigIntegerField()
    tag_id = models.BigIntegerField(null=True)
    day = models.DateField()  # the day whose counts it changes: the messages' day of acceptance
    was = models.CharField(max_length=10, blank=True)
    status = models.CharField(max_length=10, choices=[*Status.choices, *Act.choices])
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
    url = models.TextField(blank=True, default="", db_default="")  # of a click
    reader = models.CharField(max_length=7, blank=True, choices=Reader.choices, default="", db_default="")

    class Meta:
        indexes = [
            models.Index(fields=["message_id"], condition=models.Q(message_id__isnull=False), name="event_by_message"),
            BrinIndex(fields=["at"], name="event_by_time"),
            BrinIndex(fields=["day"], name="event_by_day"),
        ]

    def __str__(self) -> str:
        return f"{self.n} × {self.was or 'new'} → {self.status}"
