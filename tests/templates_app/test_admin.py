from dataclasses import replace
from datetime import timedelta

import pytest
from django.urls import reverse

from templates_app.http import FRAME_POLICY
from templates_app.models import Review, Template
from templates_app.services import reviews, templates
from tests.factories import TemplateFactory

pytestmark = pytest.mark.django_db


def url(name, *args):
    return reverse(f"admin:templates_app_template_{name}", args=args)


@pytest.fixture
def desk(client, reviewer):
    """The browser of a reviewer at the machine of a sandbox, where no second factor is asked for."""
    client.force_login(reviewer)
    client.defaults["HTTP_HOST"] = "localhost"
    return client


def decide(desk, template, **fields):
    data = {"content_hash": template.content_hash, "reason": "", **fields}
    return desk.post(url("decide", template.pk), data, follow=True)


def test_desk_shows_who_waits_longest_first(desk, draft, actor, stranger, now):
    for number, by in enumerate([actor, stranger, actor]):
        made = templates.create(replace(draft, name=f"mail-{number}"), by=by, now=now)
        templates.submit(made, by=by, now=now - timedelta(hours=number))
    TemplateFactory(name="a-draft")

    page = desk.get(url("changelist"))

    assert [row.name for row in page.context["cl"].result_list] == ["mail-2", "mail-1", "mail-0"]
    assert "UserName" in page.content.decode()


@pytest.mark.parametrize(("query", "names"), [("?status=all", {"新闻-1", "a-draft"}), ("?status=draft", {"a-draft"})])
def test_desk_shows_more_when_asked(desk, pending, query, names):
    TemplateFactory(name="a-draft")

    page = desk.get(url("changelist") + query)

    assert {row.name for row in page.context["cl"].result_list} == names


def test_desk_reads_no_bodies_for_its_list(desk, pending):
    (row,) = desk.get(url("changelist")).context["cl"].result_list

    assert {"html", "text", "prepared_html", "plain_text"} <= row.get_deferred_fields()


def test_reviewer_sees_the_mail_in_a_sandbox_and_nowhere_else(desk, draft, actor, now):
    html = "<style>p{color:red}</style><p id=mine>Dear {UserName}</p>"
    template = templates.create(replace(draft, html=html, subject="<i>{UserName}</i>"), by=actor, now=now)
    templates.submit(template, by=actor, now=now)

    page = desk.get(url("change", template.pk)).content.decode()
    frame = desk.get(url("preview", template.pk), {"sample": "english"})

    assert "<iframe sandbox " in page
    assert "<p id" not in page
    assert "&lt;p id=mine&gt;Dear {UserName}&lt;/p&gt;" in page
    assert "&lt;i&gt;张三&lt;/i&gt;" in page
    assert frame["Content-Security-Policy"] == FRAME_POLICY
    assert '<p id="mine" style="color: red;">Dear Ann Smith</p>' in frame.content.decode()


def test_page_needs_no_script_of_its_own(desk, pending):
    page = desk.get(url("change", pending.pk)).content.decode()
    content = page[page.index('<div id="content-main"') :]

    assert "<script" not in content[: content.index("</form>")]
    assert " style=" not in content[: content.index("</form>")]
    assert " onclick=" not in page


def test_reviewer_approves(desk, pending):
    page = decide(desk, pending, approve="1")

    assert page.redirect_chain == [(url("changelist"), 302)]
    assert "is approved; its author is told by mail" in page.content.decode()
    assert Template.objects.get().status == Template.Status.APPROVED
    assert Review.objects.get().reviewer.pk == int(desk.session["_auth_user_id"])


def test_reviewer_rejects_with_a_reason(desk, pending):
    decide(desk, pending, reject="1", reason="Too loud")

    assert Template.objects.get().status == Template.Status.REJECTED
    assert "Too loud" in desk.get(url("change", pending.pk)).content.decode()


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        ({"reject": "1", "reason": " "}, "Say what has to change."),
        ({"reject": "1", "reason": "a" * 2001}, "at most 2000 characters"),
        ({"approve": "1", "content_hash": "0" * 64}, "changed or decided on since you opened it"),
    ],
)
def test_decision_that_does_not_count_is_told(desk, pending, fields, sentence):
    page = decide(desk, pending, **fields)

    assert page.redirect_chain == [(url("change", pending.pk), 302)]
    assert sentence in page.content.decode()
    assert Template.objects.get().status == Template.Status.PENDING


def test_opening_the_address_of_the_decision_decides_nothing(desk, pending):
    desk.get(url("decide", pending.pk), {"approve": "1", "content_hash": pending.content_hash})

    assert Template.objects.get().status == Template.Status.PENDING


def test_author_has_no_buttons(desk, reviewer, pending):
    pending.authors.add(reviewer)

    page = desk.get(url("change", pending.pk)).content.decode()

    assert "another reviewer has to decide" in page
    assert 'name="approve"' not in page
    assert "Nobody reviews what they wrote" in decide(desk, pending, approve="1").content.decode()


def test_changes_since_the_approved_version_are_shown(desk, draft, pending, actor, now, reviewer):
    reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)
    edited = templates.edit(pending, replace(draft, html="<p>Another <b>text</b></p>"), by=actor, now=now)
    templates.submit(edited, by=actor, now=now)

    page = desk.get(url("change", pending.pk)).content.decode()
    approved = desk.get(url("approved", pending.pk))

    assert "What changed since the approved version" in page
    assert "+ &lt;p&gt;Another" in page
    assert "Dear 张三" in approved.content.decode()
    assert approved["Content-Security-Policy"] == FRAME_POLICY


@pytest.mark.parametrize("name", ["change", "preview", "approved", "decide"])
def test_what_is_not_there_is_not_found(desk, name):
    assert desk.get(url(name, 4711)).status_code == 404


def test_address_that_is_no_number_is_not_found(desk):
    assert desk.get(url("change", "x")).status_code == 404


@pytest.mark.parametrize("name", ["add", "delete"])
def test_nobody_adds_or_deletes_here(desk, pending, name):
    assert desk.get(url(name, *([] if name == "add" else [pending.pk]))).status_code == 403


@pytest.mark.parametrize("name", ["changelist", "change", "preview", "decide"])
def test_customers_see_no_review_desk(owner_client, pending, name):
    address = url(name, *([] if name == "changelist" else [pending.pk]))

    assert owner_client.get(address, headers={"host": "localhost"}).status_code == 403
    assert Template.objects.get().status == Template.Status.PENDING


def test_reviewer_without_second_factor_is_sent_to_set_one_up(desk, pending, settings):
    settings.MAILPUSH_DELIVERY = "mx"

    assert desk.get(url("preview", pending.pk))["Location"] == reverse("mfa_index")
