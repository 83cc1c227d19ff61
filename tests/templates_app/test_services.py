from dataclasses import replace
from datetime import timedelta

import pytest
from django.core import mail

from accounts.actors import Actor, NotAllowed
from accounts.models import Role
from templates_app.models import ApprovedVersion, Review, Template
from templates_app.services import reviews, templates
from templates_app.services.templates import Draft
from tests.factories import UserFactory

pytestmark = pytest.mark.django_db

DRAFT = Draft(name="新闻-1", subject="Hello {UserName}", sender_name="Example", html="<p>Dear {UserName}</p>")


@pytest.fixture(autouse=True)
def _outbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def template(actor, now):
    return templates.create(DRAFT, by=actor, now=now)


@pytest.fixture
def reviewer(db):
    return UserFactory(is_staff=True)


@pytest.fixture
def pending(template, actor, now):
    templates.submit(template, by=actor, now=now)
    return template


@pytest.mark.parametrize(
    ("changes", "refusal"),
    [
        ({"name": "two words"}, templates.BadName),
        ({"name": ""}, templates.BadName),
        ({"name": "a" * 65}, templates.BadName),
        ({"name": "a_b"}, templates.BadName),
        ({"subject": ""}, templates.BadSubject),
        ({"subject": "a\r\nBcc: x@y.example"}, templates.BadSubject),
        ({"subject": "a" * 101}, templates.BadSubject),
        ({"subject": "{Nobody}"}, templates.BadVariable),
        ({"sender_name": "a\nb"}, templates.BadSenderName),
        ({"html": "", "text": " "}, templates.BadBody),
        ({"html": "<script>1</script>"}, templates.BadBody),
        ({"html": '<a href="java&#115;cript:x">x</a>'}, templates.BadBody),
        ({"html": '<p onclick="x">x</p>'}, templates.BadBody),
        ({"html": "a" * 1_000_001}, templates.BadBody),
        ({"html": "<p>stray { brace</p>"}, templates.BadVariable),
        ({"text": "{UserName"}, templates.BadVariable),
    ],
)
def test_what_cannot_be_sent_is_refused(actor, now, changes, refusal):
    with pytest.raises(refusal):
        templates.create(replace(DRAFT, **changes), by=actor, now=now)

    assert not Template.objects.exists()


def test_stray_brace_is_shown_with_its_place(actor, now):
    with pytest.raises(templates.BadVariable) as raised:
        templates.create(replace(DRAFT, html="<p>\nprice { 3</p>"), by=actor, now=now)

    assert raised.value.field == "html"
    assert "Line 2, column 7" in raised.value.message


def test_name_is_unique_within_an_account_whatever_its_case(template, actor, stranger, now):
    with pytest.raises(templates.NameTaken):
        templates.create(replace(DRAFT, name="新闻-1".upper()), by=actor, now=now)

    templates.create(DRAFT, by=stranger, now=now)


def test_viewer_may_not_write(member, now):
    with pytest.raises(NotAllowed):
        templates.create(DRAFT, by=Actor.member(member(Role.VIEWER)), now=now)


def test_approval_lets_exactly_this_content_be_sent(pending, reviewer, now):
    version = reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)

    pending.refresh_from_db()
    assert pending.status == Template.Status.APPROVED
    assert pending.approved == version
    assert (version.subject, version.text.strip()) == (DRAFT.subject, "Dear {UserName}")
    assert "<p>Dear {UserName}</p>" in version.html


def test_edit_of_an_approved_template_keeps_sending_the_approved_version(pending, reviewer, actor, now):
    version = reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)

    edited = templates.edit(pending, replace(DRAFT, subject="New"), by=actor, now=now)

    assert edited.status == Template.Status.DRAFT
    assert edited.approved == version
    assert ApprovedVersion.objects.get().subject == DRAFT.subject


def test_saving_without_a_change_changes_nothing(pending, reviewer, actor, now):
    reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)

    template = templates.edit(pending, DRAFT, by=actor, now=now + timedelta(days=1))

    assert template.status == Template.Status.APPROVED


def test_reviewer_decides_on_what_they_saw_only(pending, reviewer, actor, now):
    seen = pending.content_hash
    templates.edit(pending, replace(DRAFT, html="<p>Something else</p>"), by=actor, now=now)
    templates.submit(pending, by=actor, now=now)

    with pytest.raises(reviews.Changed):
        reviews.approve(pending, content_hash=seen, reviewer=reviewer, now=now)

    assert not ApprovedVersion.objects.exists()


def test_second_decision_comes_too_late(pending, reviewer, now):
    reviews.reject(pending, content_hash=pending.content_hash, reason="Too loud", reviewer=reviewer, now=now)

    with pytest.raises(reviews.Changed):
        reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)

    assert [review.decision for review in Review.objects.all()] == ["rejected"]


def test_nobody_reviews_their_own_and_customers_review_nothing(actor, now, reviewer):
    actor.user.is_staff = True
    actor.user.save()
    own = templates.create(DRAFT, by=actor, now=now)
    templates.submit(own, by=actor, now=now)

    for someone in (actor.user, UserFactory()):
        with pytest.raises(reviews.NotAReviewer):
            reviews.approve(own, content_hash=own.content_hash, reviewer=someone, now=now)


def test_rejection_wants_a_reason_and_tells_the_author(
    pending, reviewer, actor, now, django_capture_on_commit_callbacks
):
    with pytest.raises(reviews.ReasonMissing):
        reviews.reject(pending, content_hash=pending.content_hash, reason=" ", reviewer=reviewer, now=now)
    with django_capture_on_commit_callbacks(execute=True):
        reviews.reject(pending, content_hash=pending.content_hash, reason="Too loud", reviewer=reviewer, now=now)

    pending.refresh_from_db()
    assert pending.status == Template.Status.REJECTED
    (told,) = mail.outbox
    assert told.to == [actor.user.email]
    assert "Too loud" in told.body
