"""What came back through the mx door, stored before it was answered."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account


class ReturnedQuerySet(models.QuerySet["Returned"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account)

    def without_mime(self) -> Self:
        """Leave the mails themselves in the database: they may have megabytes."""
        return self.defer("mime")


class Returned(models.Model):
    """A mail to one of our addresses, kept as it came; read by a worker, and again if need be."""

    class Mailbox(models.TextChoices):
        """What kind of address it came to."""

        RETURN_PATH = "return_path", _("Random address of a message")
        SENDER = "sender", _("Sender address")
        REPLY = "reply", _("Sender address that forwards replies")
        UNSUBSCRIBE = "unsubscribe", _("Unsubscribe address")
        COMPLAINTS = "complaints", _("Address for complaints")
        POST_OFFICE = "post_office", _("postmaster or abuse")

    class Kind(models.TextChoices):
        """What the worker found it to be."""

        BOUNCE = "bounce", _("Bounce")
        DELAY = "delay", _("Notice of delay")
        NOTICE = "notice", _("Other report")
        AUTO_REPLY = "auto_reply", _("Automatic reply")
        COMPLAINT = "complaint", _("Complaint")
        OPT_OUT = "opt_out", _("Unsubscribe")
        FORWARDED = "forwarded", _("Forwarded")
        OTHER = "other", _("Not understood")

    mailbox = models.CharField(max_length=11, choices=Mailbox.choices, default=Mailbox.RETURN_PATH)
    mail_from = models.CharField(max_length=320, blank=True)
    rcpt_to = models.CharField(max_length=320)
    peer = models.GenericIPAddressField(null=True)  # who brought it
    account = models.ForeignKey(Account, models.CASCADE, null=True, related_name="+", db_index=False)
    message_id = models.BigIntegerField(null=True)  # the message it is about
    mime = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True)
    kind = models.CharField(max_length=10, blank=True, choices=Kind.choices)
    failure = models.CharField(max_length=16, blank=True)  # mailpush.mail.replies.Failure
    words = models.TextField(blank=True)  # what it says, for people
    has_effect = models.BooleanField(default=False)  # it changed a message or a suppression, or was sent on

    objects = ReturnedQuerySet.as_manager()

    class Meta:
        verbose_name = _("returned mail")
        verbose_name_plural = _("returned mail")
        indexes = [
            models.Index(fields=["id"], condition=Q(read_at=None), name="returned_unread"),
            models.Index(fields=["message_id"], condition=Q(message_id__isnull=False), name="returned_by_message"),
            models.Index(fields=["account", "-id"], name="returned_newest"),
            models.Index(fields=["received_at"], name="returned_by_time"),
        ]

    def __str__(self) -> str:
        return f"to {self.rcpt_to}"
