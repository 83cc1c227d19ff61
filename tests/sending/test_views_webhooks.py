"""The pages of webhooks."""

import pytest
from django.urls import reverse

from accounts.models import Role
from sending.models import EventKind, Webhook, WebhookCall, WebhookTry
from tests.factories import WebhookCallFactory, WebhookFactory

pytestmark = pytest.mark.django_db
INDEX = reverse("sending:webhooks")


@pytest.fixture
def webhook(account):
    return WebhookFactory(account=account, kinds=["message.bounced"])


def url(name, of):
    return reverse(f"sending:{name}", args=[of.pk])


def test_a_webhook_is_made_and_its_secret_shown_once(owner_client):
    assert "No webhooks yet" in owner_client.get(INDEX).content.decode()

    page = owner_client.post(INDEX, {"url": "http://localhost:9000/hook", "kinds": ["message.delivered"]})

    webhook = Webhook.objects.get()
    assert (webhook.account, webhook.kinds) == (owner_client.account, ["message.delivered"])
    assert webhook.secret in page.content.decode()
    assert webhook.secret not in owner_client.get(INDEX).content.decode()


def test_a_bad_address_is_said_at_its_field(owner_client):
    page = owner_client.post(INDEX, {"url": "ftp://shop.example.com", "kinds": ["message.delivered"]})

    assert "Write an address that begins with https://" in page.content.decode()
    assert not Webhook.objects.exists()


def test_it_is_changed_paused_resumed_and_deleted(owner_client, webhook):
    owner_client.post(url("webhook", webhook), {"url": "http://127.0.0.1/new", "kinds": ["domain.verified"]})
    webhook.refresh_from_db()
    assert (webhook.url, webhook.kinds) == ("http://127.0.0.1/new", ["domain.verified"])

    page = owner_client.post(url("webhook-pause", webhook), follow=True)
    assert "This webhook is paused." in page.content.decode()
    owner_client.post(url("webhook-resume", webhook))
    webhook.refresh_from_db()
    assert not webhook.is_paused

    owner_client.post(url("webhook-delete", webhook))
    assert not Webhook.objects.exists()


def test_a_new_secret_is_shown_once(owner_client, webhook):
    page = owner_client.post(url("webhook-renew-secret", webhook)).content.decode()

    webhook.refresh_from_db()
    assert webhook.secret in page
    assert webhook.secret not in owner_client.get(url("webhook", webhook)).content.decode()


def test_every_try_is_seen_and_a_call_is_sent_again(owner_client, webhook, now):
    call = WebhookCallFactory(webhook=webhook, status="failed", finished_at=now, next_attempt_at=None)
    WebhookTry.objects.create(call=call, at=now, code=500, answer="<b>broken</b>", seconds=0.1)
    WebhookTry.objects.create(call=call, at=now, problem="Connection refused", seconds=0.1)

    listed = owner_client.get(f"{url('webhook', webhook)}?status=failed").content.decode()
    page = owner_client.get(url("webhook-call", call)).content.decode()
    owner_client.post(url("webhook-send-again", call))

    assert call.message_id in listed
    assert "&lt;b&gt;broken&lt;/b&gt;" in page
    assert "Connection refused" in page
    assert "message.delivered" in page
    call.refresh_from_db()
    assert (call.status, call.finished_at) == ("waiting", None)


def test_a_test_event_is_a_call(owner_client, webhook):
    page = owner_client.post(url("webhook-try-out", webhook), follow=True)

    assert WebhookCall.objects.get().events[0]["type"] == "webhook.test"
    assert "Not tried yet" in page.content.decode()


@pytest.mark.parametrize(
    "name", ["webhook-renew-secret", "webhook-pause", "webhook-resume", "webhook-try-out", "webhook-delete"]
)
def test_who_only_looks_changes_nothing(client_of, member, webhook, name):
    viewer = client_of(member(Role.VIEWER))

    assert viewer.get(url("webhook", webhook)).status_code == 200
    assert viewer.post(url(name, webhook)).status_code == 403
    viewer.post(url("webhook", webhook), {"url": "http://127.0.0.1/taken", "kinds": ["message.failed"]})
    webhook.refresh_from_db()
    assert webhook.kinds == ["message.bounced"]
    assert Webhook.objects.exists()


def test_another_accounts_are_not_found(owner_client):
    call = WebhookCallFactory()

    for name, of in (("webhook", call.webhook), ("webhook-call", call)):
        assert owner_client.get(url(name, of)).status_code == 404
    for name, of in (("webhook-delete", call.webhook), ("webhook-pause", call.webhook), ("webhook-send-again", call)):
        assert owner_client.post(url(name, of)).status_code == 404
    assert "No webhooks yet" in owner_client.get(INDEX).content.decode()


def test_every_page_leads_back_up(owner_client, webhook):
    call = WebhookCallFactory(webhook=webhook)

    assert f'href="{INDEX}">Webhooks</a>' in owner_client.get(url("webhook", webhook)).content.decode()
    page = owner_client.get(url("webhook-call", call)).content.decode()
    assert f'href="{url("webhook", webhook)}">Webhook</a>' in page


def test_what_a_webhook_is_told_of_is_short_where_it_is_everything(owner_client, webhook):
    assert "message.bounced</td>" in owner_client.get(INDEX).content.decode()

    webhook.kinds = EventKind.values
    webhook.save()

    assert '<td class="text-break">all</td>' in owner_client.get(INDEX).content.decode()


def test_a_few_calls_have_no_empty_footer(owner_client, webhook):
    WebhookCallFactory(webhook=webhook)

    assert "card-footer d-flex" not in owner_client.get(url("webhook", webhook)).content.decode()
