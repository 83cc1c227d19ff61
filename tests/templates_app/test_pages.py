import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from accounts.models import Role
from templates_app.http import FRAME_POLICY
from templates_app.models import Template
from templates_app.services import reviews, templates
from tests.factories import TemplateFactory

pytestmark = pytest.mark.django_db

FORM = {"name": "News-1", "subject": "Hello {UserName}", "sender_name": "Example", "html": "<p>Hi</p>", "text": ""}


def url(name, *args):
    return reverse(f"templates_app:{name}", args=args)


@pytest.fixture
def approved(pending, reviewer, now):
    reviews.approve(pending, content_hash=pending.content_hash, reviewer=reviewer, now=now)
    pending.refresh_from_db()
    return pending


def test_template_is_written_and_submitted(owner_client):
    answer = owner_client.post(url("create"), {**FORM, "submit": "1"}, follow=True)

    template = Template.objects.get()
    assert (template.account, template.status) == (owner_client.account, Template.Status.PENDING)
    assert "Waiting for review" in answer.content.decode()
    told = list(map(str, answer.context["messages"]))
    assert [words for text in told for words in ("saved", "waits for review") if words in text] == [
        "saved",
        "waits for review",
    ]


def test_template_is_saved_as_a_draft(owner_client):
    answer = owner_client.post(url("create"), {**FORM, "text": "one\r\ntwo"}, follow=True)

    template = Template.objects.get()
    assert (template.status, template.text) == (Template.Status.DRAFT, "one\ntwo")
    assert "This draft cannot be sent yet" in answer.content.decode()


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"html": "<p>{Nobody}</p>"}, "{Nobody} is not a variable"),
        ({"html": "<script>1</script>"}, "Mail readers remove these, so take them out: &lt;script&gt;"),
        ({"name": "two words"}, "A name has 1 to 64 letters"),
        ({"name": "", "html": "<p>kept</p>"}, "This field is required"),
    ],
)
def test_mistake_is_shown_at_its_field_and_nothing_is_saved(owner_client, changes, sentence):
    answer = owner_client.post(url("create"), FORM | changes)

    (field,) = answer.context["form"].errors
    assert field == next(iter(changes))
    assert sentence in answer.content.decode()
    assert not Template.objects.exists()


def test_edit_is_saved(owner_client, template):
    page = owner_client.get(url("edit", template.pk))
    form = {name: page.context["form"][name].value() for name in page.context["form"].fields}

    owner_client.post(url("edit", template.pk), form | {"subject": "New"})

    template.refresh_from_db()
    assert (template.subject, template.html) == ("New", "<p>Dear {UserName}</p>")


def test_edit_of_what_somebody_changed_is_refused(owner_client, template):
    answer = owner_client.post(url("edit", template.pk), {**FORM, "seen": "0" * 64})

    assert "Somebody has changed this template since you opened it" in answer.content.decode()
    template.refresh_from_db()
    assert template.subject == "Hello {UserName}"


@pytest.mark.parametrize(
    ("html", "is_source"),
    [("<p>Hi</p>", False), ("", False), ("<html><body>Hi", True), ("<STYLE>p{x:y}</STYLE>Hi", True)],
)
def test_editor_that_would_lose_something_is_not_offered_first(owner_client, html, is_source):
    template = TemplateFactory(account=owner_client.account, html=html)

    page = owner_client.get(url("edit", template.pk))

    assert page.context["form"].is_source == is_source
    assert ("data-editor" in page.content.decode()) == (not is_source)


def test_other_editor_begins_with_what_was_typed(owner_client):
    typed = {**FORM, "html": "<p>not {saved}", "name": ""}

    page = owner_client.post(url("create"), {**typed, "show": "source"})

    assert page.context["form"].is_source
    assert not page.context["form"].errors
    assert "&lt;p&gt;not {saved}" in page.content.decode()
    assert not Template.objects.exists()


def test_copy_begins_with_everything_but_the_name(owner_client, template):
    page = owner_client.get(url("copy", template.pk))

    form = page.context["form"]
    assert form["name"].value() == f"{template.name}-copy"
    assert form["html"].value() == template.html
    assert f'action="{url("create")}"' in page.content.decode()


def test_help_tells_how_to_write_braces(owner_client):
    assert "To show a brace, write it twice: {{ or }}." in owner_client.get(url("create")).content.decode()


@pytest.mark.parametrize("name", ["detail", "edit", "copy", "preview", "preview-approved"])
def test_strangers_template_is_not_found(owner_client, name):
    theirs = TemplateFactory(approve=True)

    assert owner_client.get(url(name, theirs.pk)).status_code == 404


@pytest.mark.parametrize("name", ["edit", "submit", "withdraw", "delete"])
def test_strangers_template_is_not_touched(owner_client, name):
    theirs = TemplateFactory()

    assert owner_client.post(url(name, theirs.pk), FORM).status_code == 404
    assert Template.objects.get() == theirs


@pytest.mark.parametrize("name", ["edit", "submit", "withdraw", "delete", "create"])
def test_viewer_changes_nothing(client_of, member, name):
    client = client_of(member(Role.VIEWER))
    template = TemplateFactory(account=client.account)

    assert client.post(url(name, *([] if name == "create" else [template.pk])), FORM).status_code == 403


def test_viewer_looks(client_of, member):
    client = client_of(member(Role.VIEWER))
    template = TemplateFactory(account=client.account)

    for page in (client.get(url("index")), client.get(url("detail", template.pk))):
        assert template.name in page.content.decode()
        assert url("delete", template.pk) not in page.content.decode()


def test_visitors_log_in_first(client, template):
    for name in ("detail", "preview", "edit"):
        assert client.get(url(name, template.pk)).status_code == 302


@pytest.mark.parametrize("path", ["preview", "preview-approved"])
def test_html_is_shown_in_a_sandbox_only(owner_client, path):
    template = TemplateFactory(account=owner_client.account, approve=True)

    answer = owner_client.get(url(path, template.pk))

    assert answer["Content-Security-Policy"] == FRAME_POLICY
    assert FRAME_POLICY.startswith("sandbox; default-src 'none'; img-src data: https:; style-src 'unsafe-inline'")
    assert (answer["Referrer-Policy"], answer["Cache-Control"]) == ("no-referrer", "private, no-store")
    assert "Hello 张三" in answer.content.decode()


def test_page_holds_customers_html_only_in_the_frame(owner_client, now):
    draft = templates.Draft(name="a", subject="<b>S</b>", sender_name="Me", html="<p id=mine>x</p>", text="<i>t</i>")
    template = templates.create(draft, by=owner_client.actor, now=now)

    page = owner_client.get(url("detail", template.pk)).content.decode()

    assert "id=mine" not in page
    assert 'id="mine"' not in page
    assert "&lt;b&gt;S&lt;/b&gt;" in page
    assert "&lt;i&gt;t&lt;/i&gt;" in page
    assert '<iframe class="mail-frame mail-frame-desktop" sandbox ' in page


def test_preview_without_html_is_plain_text(owner_client):
    template = TemplateFactory(account=owner_client.account, html="", plain_text="<b>{UserName}</b>")

    answer = owner_client.get(url("preview", template.pk), {"sample": "english"})

    assert answer["Content-Type"] == "text/plain; charset=utf-8"
    assert answer["Content-Security-Policy"] == FRAME_POLICY
    assert answer.content.decode() == "<b>Ann Smith</b>"


@pytest.mark.parametrize(
    ("sample", "shown"), [("english", "Hello Ann Smith"), ("address", "Hello "), ("nonsense", "Hello 张三")]
)
def test_preview_is_for_the_chosen_recipient(owner_client, template, sample, shown):
    page = owner_client.get(url("detail", template.pk), {"sample": sample, "width": "mobile"})

    assert page.context["subject"] == shown.strip()
    assert "mail-frame-mobile" in page.content.decode()
    assert f"{url('preview', template.pk)}?sample={page.context['sample']}" in page.content.decode()


def test_preview_that_was_never_approved_is_not_found(owner_client, template):
    assert owner_client.get(url("preview-approved", template.pk)).status_code == 404


def test_page_tells_what_is_sent_from_what_is_edited(owner_client, approved, draft):
    assert "This version, approved" in owner_client.get(url("detail", approved.pk)).content.decode()
    owner_client.post(url("edit", approved.pk), {**FORM, "name": draft.name, "subject": "My edit"})

    edit = owner_client.get(url("detail", approved.pk))
    sent = owner_client.get(url("detail", approved.pk), {"version": "approved"})

    assert edit.context["subject"] == "My edit"
    assert "There are two versions" in edit.content.decode()
    assert sent.context["subject"] == "Hello 张三"
    assert f"{url('preview-approved', approved.pk)}?sample" in sent.content.decode()


def test_page_shows_the_reviewers_reason(owner_client, pending, reviewer, now):
    reviews.reject(pending, content_hash=pending.content_hash, reason="Too <loud>", reviewer=reviewer, now=now)

    page = owner_client.get(url("detail", pending.pk)).content.decode()

    assert "The reviewer asks for changes" in page
    assert page.count("Too &lt;loud&gt;") == 2  # at the top, and in the history
    assert reviewer.email not in page


def test_buttons_do_what_they_say(owner_client, template):
    steps = [("submit", "pending"), ("withdraw", "draft"), ("submit", "pending")]
    for name, status in steps:
        owner_client.post(url(name, template.pk))
        template.refresh_from_db()
        assert template.status == status

    answer = owner_client.post(url("submit", template.pk), follow=True)
    assert "waiting for review or approved already" in answer.content.decode()

    owner_client.post(url("delete", template.pk))
    assert not Template.objects.exists()


@pytest.mark.parametrize("name", ["submit", "withdraw", "delete"])
def test_deeds_need_a_post(owner_client, template, name):
    assert owner_client.get(url(name, template.pk)).status_code == 405


def test_list_is_empty_then_paged(owner_client):
    assert "No templates yet" in owner_client.get(url("index")).content.decode()
    TemplateFactory.create_batch(21, account=owner_client.account)

    page = owner_client.get(url("index"), {"page": 2})

    assert len(page.context["page_obj"].object_list) == 1


def test_list_asks_the_database_the_same_for_more_rows(owner_client):
    owner_client.get(url("index"))  # the first page of a session sets it up
    counts = []
    for more in (1, 2):
        TemplateFactory.create_batch(more, account=owner_client.account, approve=True)
        with CaptureQueriesContext(connection) as asked:
            owner_client.get(url("index"))
        counts.append(len(asked))

    assert counts[0] == counts[1]


def test_list_is_searched_and_filtered(owner_client):
    mine = TemplateFactory(account=owner_client.account, name="Spring-news", approve=True)
    TemplateFactory(account=owner_client.account, name="Autumn")
    TemplateFactory(name="Spring-of-strangers")

    for query in ({"q": "spring"}, {"status": "approved"}):
        assert list(owner_client.get(url("index"), query).context["page_obj"]) == [mine]
    assert "No template matches" in owner_client.get(url("index"), {"q": "\0winter"}).content.decode()
