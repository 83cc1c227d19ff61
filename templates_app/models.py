"""Mail templates and their review."""

from typing import Self

from django.conf import settings
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account

NAME_LENGTH = 64
SUBJECT_LENGTH = 100
SENDER_NAME_LENGTH = 64


class TemplateQuerySet(models.QuerySet["Template"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account)

    def without_bodies(self) -> Self:
        """For lists: the bodies of a page of rows may be megabytes."""
        return self.defer("html", "text", "prepared_html", "plain_text")


class Template(models.Model):
    """A mail template. What is edited stands here; what may be sent is `approved`.

    Any edit of an approved template makes it a draft again, while sends go on with the
    approved version and never with the edit.

    draft, rejected -> pending (submit) -> approved, rejected (review), draft (withdraw); any -> draft (edit).
    An edit back to the very content that is approved is approved.
    """

    class Status(models.TextChoices):
        DRAFT = "draft", _("Draft")
        PENDING = "pending", _("Waiting for review")
        APPROVED = "approved", _("Approved")
        REJECTED = "rejected", _("Rejected")

    account = models.ForeignKey(Account, models.CASCADE, related_name="templates")
    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    subject = models.CharField(_("subject"), max_length=SUBJECT_LENGTH)
    sender_name = models.CharField(_("sender name"), max_length=SENDER_NAME_LENGTH)
    html = models.TextField(_("body"), blank=True)
    text = models.TextField(_("text part"), blank=True)  # as written; empty = derived from the HTML
    content_hash = models.CharField(max_length=64)  # SHA-256 over subject, sender name and bodies
    # Made of the bodies when they are saved: what is previewed, reviewed, and sent once it is approved.
    prepared_html = models.TextField(blank=True, default="")
    plain_text = models.TextField(blank=True, default="")
    variables = models.JSONField(_("variables"), default=list)  # names in subject and bodies, sorted
    status = models.CharField(_("status"), max_length=8, choices=Status.choices, default=Status.DRAFT)
    approved = models.ForeignKey("ApprovedVersion", models.SET_NULL, null=True, related_name="+")
    created_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+", verbose_name=_("author")
    )
    # Who wrote what no reviewer has approved yet: none of them may review it.
    authors = models.ManyToManyField(settings.AUTH_USER_MODEL, related_name="+")
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)
    submitted_at = models.DateTimeField(_("submitted"), null=True)

    objects = TemplateQuerySet.as_manager()

    class Meta:
        verbose_name = _("template")
        verbose_name_plural = _("templates")
        constraints = [
            models.UniqueConstraint(Lower("name"), "account", name="template_name_once"),
            models.CheckConstraint(
                condition=~Q(status="pending") | Q(submitted_at__isnull=False), name="template_pending_since"
            ),
        ]
        indexes = [
            models.Index(fields=["submitted_at"], condition=Q(status="pending"), name="template_review_queue"),
        ]

    def __str__(self) -> str:
        return self.name

    # Questions

    @property
    def may_be_sent(self) -> bool:
        return self.approved_id is not None

    @property
    def may_be_submitted(self) -> bool:
        return self.status in {self.Status.DRAFT, self.Status.REJECTED}


class ApprovedVersion(models.Model):
    """The content a reviewer approved, exactly: never changed, found again by its hash."""

    template = models.ForeignKey(Template, models.CASCADE, related_name="approved_versions")
    subject = models.CharField(max_length=SUBJECT_LENGTH)
    sender_name = models.CharField(max_length=SENDER_NAME_LENGTH)
    html = models.TextField(blank=True)  # prepared: styles inlined
    text = models.TextField()  # always there: derived from the HTML when the author gave none
    content_hash = models.CharField(max_length=64)
    approved_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.template} {self.content_hash[:12]}"


class Review(models.Model):
    """A reviewer's decision on one content."""

    template = models.ForeignKey(Template, models.CASCADE, related_name="reviews")
    content_hash = models.CharField(max_length=64)
    decision = models.CharField(
        max_length=8, choices=[(Template.Status.APPROVED, _("Approved")), (Template.Status.REJECTED, _("Rejected"))]
    )
    reason = models.TextField(blank=True)
    reviewer = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    submitted_at = models.DateTimeField()
    decided_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-decided_at"]

    def __str__(self) -> str:
        return f"{self.template}: {self.decision}"
