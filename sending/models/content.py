"""What is sent, stored once for all its recipients."""

from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from senders.models import Sender, Stream, Tag, UnsubscribeScope
from templates_app import rendering

NO_LINK = "none"


class AddressType(models.TextChoices):
    """The envelope sender (manual, "New send task"; DirectMail's AddressType 0 and 1)."""

    RANDOM = "random", _("Random address")  # signed, names the message: bounces can be followed
    SENDER = "sender", _("Sender address")


class Content(models.Model):
    """Subject and bodies, or a submitted message, with everything its recipients have in common.

    `composed`: subject, sender name and bodies may hold `{Variable}`s.
    `mime`: a finished message (headers and body, CRLF), in the row or, when large, in storage.
    """

    class Kind(models.TextChoices):
        COMPOSED = "composed", _("Composed")
        MIME = "mime", _("Submitted message")

    account = models.ForeignKey(Account, models.CASCADE, related_name="+")
    sender = models.ForeignKey(Sender, models.PROTECT, related_name="+")
    tag = models.ForeignKey(Tag, models.PROTECT, null=True, related_name="+")
    stream = models.CharField(max_length=7, choices=Stream.choices)
    address_type = models.CharField(max_length=6, choices=AddressType.choices)
    kind = models.CharField(max_length=8, choices=Kind.choices)
    sender_name = models.CharField(max_length=64, blank=True)
    reply_to = models.CharField(max_length=254, blank=True)
    # How far an unsubscribe reaches; empty: as the sender address says.
    unsubscribe_scope = models.CharField(
        max_length=7, blank=True, choices=[*UnsubscribeScope.choices, (NO_LINK, _("no unsubscribe link"))]
    )
    reply_to_name = models.CharField(max_length=64, blank=True)
    # One of ours that it leaves from, with commas between; empty: the sender's configuration set's, else the stream's.
    source_ips = models.TextField(blank=True, default="", db_default="")
    subject = models.TextField(blank=True)
    html = models.TextField(blank=True)
    text = models.TextField(blank=True)
    is_tracked = models.BooleanField(default=False, db_default=False)  # links and a pixel in its HTML
    mime = models.BinaryField(null=True)
    mime_file = models.CharField(max_length=255, blank=True)  # name in the default storage
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="content_mime_in_one_place",
                condition=Q(kind="composed", mime=None, mime_file="")
                | Q(kind="mime", mime__isnull=False, mime_file="")
                | (Q(kind="mime", mime=None) & ~Q(mime_file="")),
            ),
        ]

    def __str__(self) -> str:
        return self.readable_subject or f"content {self.pk}"

    # Questions

    @property
    def readable_subject(self) -> str:
        """The subject as people read it: variables by their names, and every other brace as it is sent."""
        if self.kind == Content.Kind.MIME:
            return self.subject
        source = rendering.compile(self.subject, escape=False)
        return source.render({name: f"{{{name}}}" for name in source.variables})
