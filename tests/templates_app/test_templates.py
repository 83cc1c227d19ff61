from dataclasses import replace
from datetime import timedelta

import pytest

from accounts.actors import Actor, NotAllowed
from accounts.models import AuditEntry, Role
from templates_app.models import ApprovedVersion, Template
from templates_app.services import reviews, templates

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize(
    ("changes", "refusal", "field"),
    [
        ({"name": "two words"}, templates.BadName, "name"),
        ({"name": ""}, templates.BadName, "name"),
        ({"name": "a" * 65}, templates.BadName, "name"),
        ({"name": "a_b"}, templates.BadName, "name"),
        ({"name": "½"}, templates.BadName, "name"),
        ({"subject": ""}, templates.BadSubject, "subject"),
        ({"subject": "  "}, templates.BadSubject, "subject"),
        ({"subject": "a\r\nBcc: x@y.example"}, templates.BadSubject, "subject"),
        ({"subject": "a\x85b"}, templates.BadSubject, "subject"),
        ({"subject": "a\u2028b"}, templates.BadSubject, "subject"),
        ({"subject": "invoice\u202efdp.exe"}, templates.BadSubject, "subject"),
        ({"subject": "a\ud800"}, templates.BadSubject, "subject"),
        ({"subject": "a" * 101}, templates.BadSubject, "subject"),
        ({"subject": "{Nobody}"}, templates.BadVariable, "subject"),
        ({"sender_name": "a\nb"}, templates.BadSenderName, "sender_name"),
        ({"sender_name": "Bank <bank@x.example>"}, templates.BadSenderName, "sender_name"),
        ({"sender_name": 'the "bank"'}, templates.BadSenderName, "sender_name"),
        ({"sender_name": "{UserName}"}, templates.BadSenderName, "sender_name"),
        ({"sender_name": "a" * 65}, templates.BadSenderName, "sender_name"),
        ({"html": "", "text": " "}, templates.BadBody, "html"),
        ({"html": "<script>1</script>"}, templates.BadBody, "html"),
        ({"html": "a" * 1_000_001}, templates.BadBody, "html"),
        ({"html": "é" * 500_001}, templates.BadBody, "html"),
        ({"text": "a" * 1_000_001}, templates.BadBody, "text"),
        ({"text": "a\0b"}, templates.BadBody, "text"),
        ({"html": "a\udfffb"}, templates.BadBody, "html"),
        ({"html": "<div>" * 300}, templates.BadBody, "html"),
        ({"html": f"<style>p{{x:{'y' * 5000}}}</style>" + "<p>a</p>" * 700}, templates.BadBody, "html"),
        ({"html": "<p>stray { brace</p>"}, templates.BadVariable, "html"),
        ({"text": "{UserName"}, templates.BadVariable, "text"),
    ],
)
def test_what_cannot_be_sent_is_refused(draft, actor, now, changes, refusal, field):
    with pytest.raises(refusal) as raised:
        templates.create(replace(draft, **changes), by=actor, now=now)

    assert raised.value.field == field
    assert not Template.objects.exists()


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "Übung-2026"},
        {"name": "ปฏิทิน"},
        {"name": "हिन्दी-१"},
        {"name": "a" * 64},
        {"subject": "👨‍👩‍👧 für {UserName}, 你好"},
        {"subject": "a" * 100},
        {"sender_name": "Müller & Söhne, Köln"},
        {"html": "<p>" + "a" * 999_990 + "</p>"},
        {"html": "", "text": "Hello {NickName}"},
        {"html": "<style>p{color:red}</style><p style='a:b'>{Birth}</p>"},
    ],
)
def test_what_can_be_sent_is_kept(draft, actor, now, changes):
    template = templates.create(replace(draft, **changes), by=actor, now=now)

    kept = {name: getattr(template, name) for name in changes}
    assert kept == changes
    assert template.status == Template.Status.DRAFT


def test_bodies_are_prepared_when_they_are_saved(draft, actor, now):
    html = "<style>p{color:red}</style><p>Dear {UserName}, {Birth}</p>"

    template = templates.create(replace(draft, html=html), by=actor, now=now)

    assert '<p style="color: red;">Dear {UserName}, {Birthday}</p>' in template.prepared_html
    assert template.plain_text == "Dear {UserName}, {Birthday}"
    assert template.variables == ["Birthday", "UserName"]
    assert (template.html, template.text) == (html, "")


def test_text_part_of_the_author_is_kept_as_written(draft, actor, now):
    template = templates.create(replace(draft, text="Hello {{you}}"), by=actor, now=now)

    assert template.plain_text == "Hello {{you}}"


@pytest.mark.parametrize(
    ("html", "sentence"),
    [
        (
            "<p>\nprice { 3</p>",
            "Line 2, column 7: a single “{” in “<p> price { 3</p>”. Write it twice to show a brace.",
        ),
        ("<p>{Name}</p>", "Line 1, column 4: {Name} is not a variable; there are {EAddr}, {UserName}, {NickName}, "),
        ("{ " * 5, "There are more mistakes of the kind after these."),
    ],
)
def test_mistake_is_explained(draft, actor, now, html, sentence):
    with pytest.raises(templates.BadVariable) as raised:
        templates.create(replace(draft, html=html), by=actor, now=now)

    assert sentence in raised.value.message


def test_what_mail_readers_remove_is_named(draft, actor, now):
    with pytest.raises(templates.BadBody, match="take them out: <script>, onclick="):
        templates.create(replace(draft, html="<script>1</script><p onclick=x>"), by=actor, now=now)


def test_hash_tells_apart_where_a_part_ends(draft):
    assert replace(draft, html="ab", text="c").content_hash != replace(draft, html="a", text="bc").content_hash
    assert replace(draft, subject="ab", sender_name="c").content_hash != draft.content_hash
    assert replace(draft, name="other").content_hash == draft.content_hash


def test_name_is_unique_within_an_account_whatever_its_case(draft, actor, stranger, now):
    templates.create(replace(draft, name="News"), by=actor, now=now)

    with pytest.raises(templates.NameTaken):
        templates.create(replace(draft, name="NEWS"), by=actor, now=now)

    templates.create(replace(draft, name="News"), by=stranger, now=now)


@pytest.mark.parametrize(
    ("role", "may"), [(Role.OWNER, True), (Role.ADMIN, True), (Role.DEVELOPER, True), (Role.VIEWER, False)]
)
@pytest.mark.parametrize("deed", ["create", "edit", "submit", "withdraw", "delete"])
def test_who_may_do_what(draft, template, member, now, role, may, deed):
    by = Actor.member(member(role))
    if deed == "withdraw":
        Template.objects.filter(pk=template.pk).update(status="pending", submitted_at=now)
    deeds = {
        "create": lambda: templates.create(replace(draft, name="other"), by=by, now=now),
        "edit": lambda: templates.edit(template, replace(draft, subject="New"), by=by, now=now),
        "submit": lambda: templates.submit(template, by=by, now=now),
        "withdraw": lambda: templates.withdraw(template, by=by),
        "delete": lambda: templates.delete(template, by=by),
    }

    if may:
        deeds[deed]()
    else:
        with pytest.raises(NotAllowed):
            deeds[deed]()

    assert AuditEntry.objects.filter(actor=by.name).exists() == may


def test_strangers_touch_nothing(draft, template, stranger, now):
    with pytest.raises(Template.DoesNotExist):
        templates.edit(template, replace(draft, subject="Mine"), by=stranger, now=now)
    with pytest.raises(templates.WrongState):
        templates.submit(template, by=stranger, now=now)
    with pytest.raises(templates.WrongState):
        templates.withdraw(template, by=stranger)
    templates.delete(template, by=stranger)

    assert Template.objects.get(pk=template.pk).content_hash == draft.content_hash
    assert not AuditEntry.objects.filter(account=stranger.account).exists()


def test_edit_takes_a_template_back_from_review(draft, pending, actor, now):
    edited = templates.edit(pending, replace(draft, subject="New"), by=actor, now=now)

    edited.refresh_from_db()
    assert (edited.status, edited.submitted_at) == (Template.Status.DRAFT, None)


def test_edit_of_an_approved_template_keeps_sending_the_approved_version(draft, pending, reviewer, actor, now):
    version = reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)

    edited = templates.edit(pending, replace(draft, subject="New"), by=actor, now=now)

    assert edited.status == Template.Status.DRAFT
    assert edited.approved == version
    assert ApprovedVersion.objects.get().subject == draft.subject


def test_edit_back_to_the_approved_content_needs_no_review(draft, pending, reviewer, actor, now):
    version = reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)
    templates.edit(pending, replace(draft, subject="New"), by=actor, now=now)

    edited = templates.edit(pending, draft, by=actor, now=now)

    assert (edited.status, edited.approved) == (Template.Status.APPROVED, version)


@pytest.mark.parametrize("changes", [{}, {"name": "renamed"}])
def test_same_content_stays_approved(draft, pending, reviewer, actor, now, changes):
    reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)

    edited = templates.edit(pending, replace(draft, **changes), by=actor, now=now + timedelta(days=1))

    assert edited.status == Template.Status.APPROVED
    assert edited.name == changes.get("name", draft.name)


def test_saving_without_a_change_changes_nothing(draft, template, actor, now):
    before = AuditEntry.objects.count()

    edited = templates.edit(template, draft, by=actor, now=now + timedelta(days=1))

    assert edited.updated_at == now
    assert AuditEntry.objects.count() == before


def test_one_author_does_not_overwrite_another(draft, template, actor, now):
    seen = template.content_hash
    templates.edit(template, replace(draft, subject="First"), by=actor, now=now, seen=seen)

    with pytest.raises(templates.ChangedMeanwhile):
        templates.edit(template, replace(draft, subject="Second"), by=actor, now=now, seen=seen)

    assert Template.objects.get().subject == "First"


def test_submitted_template_is_not_submitted_twice(pending, actor, now):
    with pytest.raises(templates.WrongState):
        templates.submit(pending, by=actor, now=now)


def test_withdrawn_template_is_a_draft(pending, actor, now):
    templates.withdraw(pending, by=actor)

    assert (pending.status, pending.submitted_at) == (Template.Status.DRAFT, None)
    with pytest.raises(templates.WrongState):
        templates.withdraw(pending, by=actor)


def test_approved_template_is_deleted_with_its_versions(pending, reviewer, actor, now):
    reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)

    templates.delete(pending, by=actor)
    templates.delete(pending, by=actor)

    assert not Template.objects.exists()
    assert not ApprovedVersion.objects.exists()
    assert AuditEntry.objects.filter(action="template.deleted").count() == 1
