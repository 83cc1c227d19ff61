from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from threading import Barrier

import pytest
from django.db import connection
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import AuditEntry, Role
from mailpush.lib.refusals import Refusal
from templates_app.models import ApprovedVersion, Review, Template
from templates_app.services import reviews, templates
from tests.factories import AccessKeyFactory, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db


def approve(template, reviewer, now):
    return reviews.approve(template, content_hash=template.content_hash, reviewer=reviewer, now=now)


def test_approval_lets_exactly_this_content_be_sent(draft, pending, reviewer, now):
    version = reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now, ip="192.0.2.1")

    pending.refresh_from_db()
    assert (pending.status, pending.approved) == (Template.Status.APPROVED, version)
    assert (version.subject, version.sender_name) == (draft.subject, draft.sender_name)
    assert (version.html, version.text) == (pending.prepared_html, "Dear {UserName}")
    assert version.content_hash == draft.content_hash
    entry = AuditEntry.objects.get(action="template.approved")
    assert (entry.account, entry.actor, entry.ip) == (pending.account, f"operator {reviewer.email}", "192.0.2.1")


def test_next_approval_replaces_what_is_sent(draft, pending, reviewer, actor, now):
    first = approve(pending, reviewer, now)
    edited = templates.edit(pending, replace(draft, subject="New"), by=actor, now=now)
    templates.submit(edited, by=actor, now=now)

    second = approve(edited, reviewer, now)

    assert Template.objects.get().approved == second
    assert set(ApprovedVersion.objects.all()) == {first, second}


def test_rejection_leaves_what_was_approved(draft, pending, reviewer, actor, now):
    version = approve(pending, reviewer, now)
    edited = templates.edit(pending, replace(draft, subject="New"), by=actor, now=now)
    templates.submit(edited, by=actor, now=now)

    reviews.reject(edited, content_hash=edited.content_hash, reason="Too loud", reviewer=reviewer, now=now)

    assert Template.objects.values_list("status", "approved").get() == ("rejected", version.pk)


def test_reviewer_decides_on_what_they_saw_only(draft, pending, reviewer, actor, now):
    seen = pending.content_hash
    templates.edit(pending, replace(draft, html="<p>Something else</p>"), by=actor, now=now)
    templates.submit(pending, by=actor, now=now)

    with pytest.raises(reviews.Changed):
        reviews.approve(pending, content_hash=seen, reviewer=reviewer, now=now)
    with pytest.raises(reviews.Changed):
        reviews.reject(pending, content_hash=seen, reason="No", reviewer=reviewer, now=now)

    assert not ApprovedVersion.objects.exists()
    assert not Review.objects.exists()


@pytest.mark.parametrize("deed", ["withdraw", "edit", "delete"])
def test_what_is_no_longer_submitted_is_not_approved(draft, pending, reviewer, actor, now, deed):
    if deed == "withdraw":
        templates.withdraw(pending, by=actor)
    elif deed == "edit":
        templates.edit(pending, replace(draft, subject="New"), by=actor, now=now)
    else:
        Template.objects.filter(pk=pending.pk).delete()

    with pytest.raises(reviews.Changed):
        reviews.approve(pending, content_hash=draft.content_hash, reviewer=reviewer, now=now)


def test_second_decision_comes_too_late(pending, reviewer, now):
    reviews.reject(pending, content_hash=pending.content_hash, reason="Too loud", reviewer=reviewer, now=now)

    with pytest.raises(reviews.Changed):
        approve(pending, reviewer, now)

    assert [review.decision for review in Review.objects.all()] == ["rejected"]


def at_once(*deeds):
    """Do the deeds at the same time, each on its own connection; return which of them were refused."""
    start = Barrier(len(deeds))

    def run(deed):
        try:
            start.wait()
            deed()
        except Refusal as refusal:
            return type(refusal)
        finally:
            connection.close()

    with ThreadPoolExecutor(len(deeds)) as threads:
        return list(threads.map(run, deeds))


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(5))
def test_one_of_two_reviewers_decides(pending, _round):
    one, other = UserFactory(is_staff=True), UserFactory(is_staff=True)
    seen, now = pending.content_hash, timezone.now()

    refused = at_once(
        lambda: reviews.approve(pending, content_hash=seen, reviewer=one, now=now),
        lambda: reviews.reject(pending, content_hash=seen, reason="No", reviewer=other, now=now),
    )

    assert sorted(refused, key=str) == sorted([None, reviews.Changed], key=str)
    review = Review.objects.get()
    pending.refresh_from_db()
    assert pending.status == review.decision
    assert ApprovedVersion.objects.count() == (review.decision == "approved")


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("_round", range(5))
def test_edit_beside_an_approval_is_never_approved_itself(pending, draft, actor, _round):
    reviewer = UserFactory(is_staff=True)
    seen, now = pending.content_hash, timezone.now()

    at_once(
        lambda: reviews.approve(pending, content_hash=seen, reviewer=reviewer, now=now),
        lambda: templates.edit(pending, replace(draft, html="<p>Unseen</p>"), by=actor, now=now),
    )

    pending.refresh_from_db()
    assert pending.status == Template.Status.DRAFT
    assert "Unseen" in pending.html
    assert [version.content_hash for version in ApprovedVersion.objects.all()] in ([], [seen])


def test_customers_review_nothing(pending, now):
    for someone in (UserFactory(), UserFactory(is_staff=True, is_active=False)):
        with pytest.raises(reviews.NotAReviewer):
            approve(pending, someone, now)


def test_nobody_reviews_what_they_wrote(draft, account, actor, reviewer, now):
    colleague = MembershipFactory(account=account, user=reviewer, role=Role.DEVELOPER)
    template = templates.create(draft, by=actor, now=now)
    templates.edit(template, replace(draft, subject="By a reviewer"), by=Actor.member(colleague), now=now)
    templates.edit(template, replace(draft, subject="By the owner"), by=actor, now=now)
    templates.submit(template, by=actor, now=now)
    template.refresh_from_db()
    actor.user.is_staff = True
    actor.user.save()

    for author in (reviewer, actor.user):
        assert not reviews.may_review(template, author)
        with pytest.raises(reviews.NotAReviewer):
            approve(template, author, now)

    approve(template, UserFactory(is_staff=True), now)


def test_who_wrote_an_earlier_version_may_review_the_next(draft, pending, account, actor, reviewer, now):
    colleague = MembershipFactory(account=account, user=reviewer, role=Role.DEVELOPER)
    templates.edit(pending, replace(draft, subject="By a reviewer"), by=Actor.member(colleague), now=now)
    templates.submit(pending, by=actor, now=now)
    approve(pending, UserFactory(is_staff=True), now)
    edited = templates.edit(pending, replace(draft, subject="By the owner"), by=actor, now=now)
    templates.submit(edited, by=actor, now=now)

    approve(edited, reviewer, now)

    assert Template.objects.get().approved.subject == "By the owner"


def test_template_of_a_program_is_reviewed(draft, account, reviewer, now):
    by = Actor.access_key(AccessKeyFactory(account=account))
    template = templates.create(draft, by=by, now=now)
    templates.submit(template, by=by, now=now)

    assert approve(template, reviewer, now)


@pytest.mark.parametrize("reason", ["", " \n"])
def test_rejection_wants_a_reason(pending, reviewer, now, reason):
    with pytest.raises(reviews.ReasonMissing):
        reviews.reject(pending, content_hash=pending.content_hash, reason=reason, reviewer=reviewer, now=now)

    assert Template.objects.get().status == Template.Status.PENDING


def test_authors_and_owners_are_told(
    draft, account, actor, member, reviewer, now, outbox, django_capture_on_commit_callbacks
):
    developer, gone, _viewer = member(Role.DEVELOPER), member(Role.DEVELOPER), member(Role.VIEWER)
    second_owner, idle_owner = member(Role.OWNER), member(Role.OWNER)
    type(idle_owner.user).objects.filter(pk=idle_owner.user.pk).update(is_active=False)
    MembershipFactory()  # of another account
    template = templates.create(draft, by=Actor.member(developer), now=now)
    templates.edit(template, replace(draft, subject="New"), by=Actor.member(gone), now=now)
    gone.delete()
    templates.submit(template, by=actor, now=now)
    template.refresh_from_db()

    with django_capture_on_commit_callbacks(execute=True):
        reviews.reject(
            template, content_hash=template.content_hash, reason="Tone <b>down</b>", reviewer=reviewer, now=now
        )

    told = {mail.to[0] for mail in outbox}
    assert told == {developer.user.email, actor.user.email, second_owner.user.email}
    assert outbox[0].subject == f"Your template “{draft.name}” was not approved"
    assert "Tone <b>down</b>" in outbox[0].body
    assert f"/console/templates/{template.pk}/" in outbox[0].body


def test_approval_is_told(pending, reviewer, now, outbox, django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        approve(pending, reviewer, now)

    assert [mail.subject for mail in outbox] == [f"Your template “{pending.name}” was approved"]
