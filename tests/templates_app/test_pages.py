import pytest
from django.urls import reverse

from accounts.models import Role
from templates_app.models import Template
from templates_app.services import templates
from templates_app.services.templates import Draft
from tests.factories import MembershipFactory, TemplateFactory, UserFactory

pytestmark = pytest.mark.django_db

FORM = {"name": "News-1", "subject": "Hello {UserName}", "sender_name": "Example", "html": "<p>Hi</p>", "text": ""}


@pytest.fixture(autouse=True)
def _outbox(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


def test_template_is_written_and_submitted(owner_client):
    answer = owner_client.post(reverse("templates_app:create"), {**FORM, "submit": "1"}, follow=True)

    template = Template.objects.get()
    assert (template.account, template.status) == (owner_client.account, Template.Status.PENDING)
    assert "Waiting for review" in answer.content.decode()


def test_mistake_is_shown_at_its_field_and_nothing_is_saved(owner_client):
    answer = owner_client.post(reverse("templates_app:create"), {**FORM, "html": "<p>{Nobody}</p>"})

    assert "{Nobody} is not a variable" in answer.content.decode()
    assert not Template.objects.exists()


@pytest.mark.parametrize("name", ["detail", "edit", "copy", "preview", "preview-approved"])
def test_strangers_template_is_not_found(owner_client, name):
    theirs = TemplateFactory(approve=True)

    assert owner_client.get(reverse(f"templates_app:{name}", args=[theirs.pk])).status_code == 404


@pytest.mark.parametrize("name", ["edit", "submit", "withdraw", "delete"])
def test_strangers_template_is_not_touched(owner_client, name):
    theirs = TemplateFactory()

    assert owner_client.post(reverse(f"templates_app:{name}", args=[theirs.pk]), FORM).status_code == 404
    assert Template.objects.get() == theirs


def test_viewer_looks_and_changes_nothing(client_of, member):
    client = client_of(member(Role.VIEWER))
    template = TemplateFactory(account=client.account)

    assert client.get(reverse("templates_app:detail", args=[template.pk])).status_code == 200
    assert client.post(reverse("templates_app:delete", args=[template.pk])).status_code == 403


@pytest.mark.parametrize("path", ["templates_app:preview", "templates_app:preview-approved"])
def test_html_is_shown_in_a_sandbox_only(owner_client, path):
    template = TemplateFactory(account=owner_client.account, approve=True)

    answer = owner_client.get(reverse(path, args=[template.pk]))

    policy = answer["Content-Security-Policy"]
    assert policy.startswith("sandbox;")
    assert "default-src 'none'" in policy
    assert "张三" in answer.content.decode()


def test_list_is_empty_then_paged(owner_client, django_assert_max_num_queries):
    assert "No templates yet" in owner_client.get(reverse("templates_app:index")).content.decode()
    TemplateFactory.create_batch(21, account=owner_client.account)

    with django_assert_max_num_queries(12):
        page = owner_client.get(reverse("templates_app:index"), {"page": 2})

    assert len(page.context["page_obj"].object_list) == 1


def test_reviewer_approves_at_the_review_desk(client, actor, now):
    template = templates.create(Draft(**FORM), by=actor, now=now)
    templates.submit(template, by=actor, now=now)
    reviewer = MembershipFactory(user=UserFactory(is_staff=True, is_superuser=True)).user
    client.force_login(reviewer)

    listed = client.get(reverse("admin:templates_app_template_changelist"), headers={"host": "localhost"})
    shown = client.get(
        reverse("admin:templates_app_template_change", args=[template.pk]), headers={"host": "localhost"}
    )
    client.post(
        reverse("admin:templates_app_template_decide", args=[template.pk]),
        {"content_hash": template.content_hash, "approve": "1"},
        headers={"host": "localhost"},
    )

    assert "News-1" in listed.content.decode()
    assert "sandbox" in shown.content.decode()
    template.refresh_from_db()
    assert template.status == Template.Status.APPROVED


def test_customer_sees_no_review_desk(owner_client):
    assert owner_client.get(reverse("admin:templates_app_template_changelist")).status_code in {302, 403}
