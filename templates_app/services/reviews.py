"""Reviewing templates: a decision is about the content that the reviewer saw, and about nothing else."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import User
from mailpush.lib.refusals import Refusal
from mailpush.mail.compose import html_to_text
from templates_app import mails, rendering
from templates_app.models import ApprovedVersion, Review, Template


class NotAReviewer(Refusal):
    code = "not_a_reviewer"


class Changed(Refusal):
    """The author changed or withdrew it, or another reviewer was faster."""

    code = "changed"


class ReasonMissing(Refusal):
    code = "reason_missing"


@transaction.atomic
def approve(template: Template, *, content_hash: str, reviewer: User, now: datetime) -> ApprovedVersion:
    """Let exactly this content be sent; the author is told by mail.

    :raises NotAReviewer: not staff, or the author.
    :raises Changed: it is not this content that waits for review.
    """
    template = _pending(template, content_hash, reviewer)
    html = rendering.prepare_html(template.html) if template.html else ""
    version = ApprovedVersion.objects.create(
        template=template,
        subject=template.subject,
        sender_name=template.sender_name,
        html=html,
        text=template.text or html_to_text(template.html),
        content_hash=content_hash,
        approved_at=now,
    )
    template.approved = version
    _decide(template, Template.Status.APPROVED, reviewer=reviewer, reason="", now=now)
    return version


@transaction.atomic
def reject(template: Template, *, content_hash: str, reason: str, reviewer: User, now: datetime) -> None:
    """Send the template back with a reason; the author is told by mail. What was approved before stays approved.

    :raises ReasonMissing: the author would not know what to change.
    :raises NotAReviewer: not staff, or the author.
    :raises Changed: it is not this content that waits for review.
    """
    if not reason.strip():
        raise ReasonMissing(_("Say what has to change."), field="reason")
    template = _pending(template, content_hash, reviewer)
    _decide(template, Template.Status.REJECTED, reviewer=reviewer, reason=reason.strip(), now=now)


def _pending(template: Template, content_hash: str, reviewer: User) -> Template:
    """Lock the template if this content waits for review; the lock makes one of two reviewers the first."""
    if not reviewer.is_staff or not reviewer.is_active:
        raise NotAReviewer(_("Only reviewers decide on templates."))
    if template.created_by_id == reviewer.pk:
        raise NotAReviewer(_("Nobody reviews a template of their own."))
    waiting = (
        Template.objects.select_for_update(of=("self",))
        .select_related("account", "created_by")
        .filter(pk=template.pk, content_hash=content_hash, status=Template.Status.PENDING)
        .first()
    )
    if waiting is None:
        raise Changed(_("The template was changed or decided on since you opened it. Look at it again."))
    return waiting


def _decide(template: Template, status: Template.Status, *, reviewer: User, reason: str, now: datetime) -> None:
    assert template.submitted_at
    Review.objects.create(
        template=template,
        content_hash=template.content_hash,
        decision=status,
        reason=reason,
        reviewer=reviewer,
        submitted_at=template.submitted_at,
        decided_at=now,
    )
    template.status = status
    template.save(update_fields=["status", "approved"])
    by = Actor.operator(reviewer, template.account)
    audit.record(f"template.{status}", by=by, target=template, content_hash=template.content_hash)
    transaction.on_commit(lambda: mails.tell_author(template, reason=reason), robust=True)
