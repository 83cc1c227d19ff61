"""Reviewing templates: a decision is about the content that the reviewer saw, and about nothing else."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import User
from mailpush.lib.refusals import Refusal
from templates_app import mails
from templates_app.models import ApprovedVersion, Review, Template


class NotAReviewer(Refusal):
    code = "not_a_reviewer"


class Changed(Refusal):
    """The author changed or withdrew it, or another reviewer was faster."""

    code = "changed"


class ReasonMissing(Refusal):
    code = "reason_missing"


@transaction.atomic
def approve(
    template: Template, *, content_hash: str, reviewer: User, now: datetime, ip: str | None = None
) -> ApprovedVersion:
    """Let exactly this content be sent; the author is told by mail.

    :param content_hash: of the content the reviewer saw.
    :raises NotAReviewer: not staff, or one of the authors.
    :raises Changed: it is not this content that waits for review.
    """
    template = _pending(template, content_hash, reviewer)
    version = ApprovedVersion.objects.create(
        template=template,
        subject=template.subject,
        sender_name=template.sender_name,
        html=template.prepared_html,
        text=template.plain_text,
        content_hash=content_hash,
        approved_at=now,
    )
    template.approved = version
    _decide(
        template, Template.Status.APPROVED, reason="", now=now, by=Actor.operator(reviewer, template.account, ip=ip)
    )
    template.authors.clear()  # from here on somebody else has seen all of it
    return version


@transaction.atomic
def reject(
    template: Template, *, content_hash: str, reason: str, reviewer: User, now: datetime, ip: str | None = None
) -> None:
    """Send the template back with a reason; the author is told by mail. What was approved before stays approved.

    :raises ReasonMissing: the author would not know what to change.
    :raises NotAReviewer: not staff, or one of the authors.
    :raises Changed: it is not this content that waits for review.
    """
    if not reason.strip():
        raise ReasonMissing(_("Say what has to change."), field="reason")
    template = _pending(template, content_hash, reviewer)
    by = Actor.operator(reviewer, template.account, ip=ip)
    _decide(template, Template.Status.REJECTED, reason=reason.strip(), now=now, by=by)


def may_review(template: Template, user: User) -> bool:
    """Tell whether the user is a reviewer and has no hand in the content."""
    return user.is_staff and user.is_active and not _is_author(template, user)


def _is_author(template: Template, user: User) -> bool:
    return template.created_by_id == user.pk or template.authors.filter(pk=user.pk).exists()


def _pending(template: Template, content_hash: str, reviewer: User) -> Template:
    """Lock the template if this content waits for review; the lock makes one of two reviewers the first."""
    if not reviewer.is_staff or not reviewer.is_active:
        raise NotAReviewer(_("Only reviewers decide on templates."))
    waiting = (
        Template.objects.select_for_update(of=("self",))
        .select_related("account", "created_by")
        .filter(pk=template.pk, content_hash=content_hash, status=Template.Status.PENDING)
        .first()
    )
    if waiting is None:
        raise Changed(_("The template was changed or decided on since you opened it. Look at it again."))
    if _is_author(waiting, reviewer):
        raise NotAReviewer(_("Nobody reviews what they wrote: another reviewer has to decide on this one."))
    return waiting


def _decide(template: Template, status: Template.Status, *, reason: str, now: datetime, by: Actor) -> None:
    assert template.submitted_at
    Review.objects.create(
        template=template,
        content_hash=template.content_hash,
        decision=status,
        reason=reason,
        reviewer=by.user,
        submitted_at=template.submitted_at,
        decided_at=now,
    )
    template.status = status
    template.save(update_fields=["status", "approved"])
    audit.record(f"template.{status}", by=by, target=template, content_hash=template.content_hash, reason=reason)
    people = mails.who_is_told(template)
    transaction.on_commit(lambda: mails.tell(people, template, reason=reason), robust=True)
