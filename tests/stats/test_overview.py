"""The overview: the way to the first mail, then how the account stands."""

from datetime import timedelta

import pytest
from django.utils import timezone

from accounts import quotas
from accounts.actors import Actor
from accounts.models import QuotaUse, Role
from domains.models import Domain
from sending.models import Batch
from stats.reports import standing
from stats.reports.first_steps import first_steps, has_sent
from templates_app.models import Template
from tests.factories import (
    BatchFactory,
    DailyFigureFactory,
    DomainFactory,
    MessageFactory,
    RecipientListFactory,
    SenderFactory,
    TemplateFactory,
)

pytestmark = pytest.mark.django_db

URL = "/console/"


def batch_of(sender, **fields):
    return BatchFactory(content__sender=sender, **fields)


def states(actor):
    return [step.state.value for step in first_steps(actor)]


# ── First steps ──


def test_new_customer_begins_with_the_domain(owner_client):
    page = owner_client.get(URL)

    assert page.content.decode().count('aria-current="step"') == 1
    assert '<a class="btn btn-primary" href="/console/domains/new/">' in page.content.decode()


def test_each_step_leads_to_the_next(actor):
    account = actor.account
    assert states(actor) == ["next", "open", "open", "open", "open"]

    domain = DomainFactory(account=account, status=Domain.Status.UNVERIFIED, verified_at=None)
    assert states(actor) == ["waiting", "open", "next", "open", "open"]

    domain.status = Domain.Status.VERIFIED
    domain.save()
    assert states(actor) == ["done", "next", "open", "open", "open"]

    SenderFactory(account=account, domain=domain)
    assert states(actor) == ["done", "done", "next", "open", "open"]

    recipients = RecipientListFactory(account=account)
    assert states(actor) == ["done", "done", "next", "open", "open"]

    recipients.count = 1
    recipients.save()
    assert states(actor) == ["done", "done", "done", "next", "open"]

    template = TemplateFactory(account=account, status=Template.Status.PENDING, submitted_at=timezone.now())
    assert states(actor) == ["done", "done", "done", "waiting", "open"]

    template.status = Template.Status.REJECTED
    template.save()
    assert states(actor) == ["done", "done", "done", "next", "open"]

    TemplateFactory(account=account, approve=True)
    assert states(actor) == ["done", "done", "done", "done", "next"]


def test_what_others_have_is_no_step_of_mine(actor, stranger):
    domain = DomainFactory(account=stranger.account)
    SenderFactory(account=stranger.account, domain=domain)
    RecipientListFactory(account=stranger.account, count=3)
    TemplateFactory(account=stranger.account, approve=True)
    MessageFactory()
    BatchFactory()

    assert states(actor) == ["next", "open", "open", "open", "open"]
    assert not has_sent(actor.account)


@pytest.mark.parametrize(
    ("role", "may"),
    [(Role.OWNER, [True] * 5), (Role.DEVELOPER, [False, True, True, True, True]), (Role.VIEWER, [False] * 5)],
)
def test_buttons_are_for_those_who_may(member, role, may):
    assert [step.may_do for step in first_steps(Actor.member(member(role)))] == may


def test_viewer_is_told_whom_to_ask(member, client_of):
    page = client_of(member(Role.VIEWER)).get(URL).content.decode()

    assert "ask an administrator" in page
    assert "/console/domains/new/" not in page


def test_steps_take_one_query(actor, django_assert_num_queries):
    with django_assert_num_queries(1):
        first_steps(actor)


def test_waiting_for_review_is_said(owner_client):
    TemplateFactory(account=owner_client.account, status=Template.Status.PENDING, submitted_at=timezone.now())

    assert "Your template is being reviewed" in owner_client.get(URL).content.decode()


# ── Afterwards ──


@pytest.mark.parametrize("what", ["batch", "message", "figure"])
def test_whoever_has_sent_sees_how_it_stands(owner_client, what):
    sender = SenderFactory(account=owner_client.account)
    if what == "batch":
        batch_of(sender, status=Batch.Status.SCHEDULED)
    elif what == "message":
        MessageFactory(content__sender=sender)
    else:
        DailyFigureFactory(sender=sender)

    page = owner_client.get(URL)

    assert "stats/overview.html" in [template.name for template in page.templates]


def test_dashboard_shows_figures_quota_and_batches(owner_client):
    sender = SenderFactory(account=owner_client.account)
    today = quotas.today(owner_client.account, timezone.now())
    DailyFigureFactory(sender=sender, day=today, total=12345, success=12000)
    DailyFigureFactory(sender=sender, day=today - timedelta(days=1), total=7)
    QuotaUse.objects.create(
        account=owner_client.account, day=today, day_used=12345, month=today.replace(day=1), month_used=98765
    )
    batch = batch_of(sender, status=Batch.Status.SENDING, total=100, requested=100, delivered=40, list_name="Readers")

    page = owner_client.get(URL).content.decode()

    assert "12,345" in page
    assert "98,765" in page
    assert 'id="trend"' in page
    assert f'href="/console/batches/{batch.pk}/"' in page
    assert "40 of 100" in page
    assert 'hx-get="/console/running/"' in page


def test_refresh_of_running_batches_stops_when_none_moves(owner_client):
    sender = SenderFactory(account=owner_client.account)
    batch = batch_of(sender, status=Batch.Status.SENDING)
    assert "hx-get" in owner_client.get("/console/running/").content.decode()

    batch.status = Batch.Status.DONE
    batch.save()

    assert "hx-get" not in owner_client.get("/console/running/").content.decode()


def test_batches_of_strangers_are_not_shown(owner_client):
    batch_of(SenderFactory(), status=Batch.Status.SENDING, list_name="Their readers")

    assert "Their readers" not in owner_client.get("/console/running/").content.decode()


@pytest.mark.parametrize("rows", [1, 3])
def test_dashboard_takes_as_many_queries_for_many_rows(owner_client, rows, django_assert_max_num_queries):
    for n in range(rows):
        sender = SenderFactory(account=owner_client.account, is_frozen=True)
        batch_of(sender, status=Batch.Status.SENDING)
        DailyFigureFactory(sender=sender, day=timezone.now().date() - timedelta(days=n + 1), total=1)

    with django_assert_max_num_queries(14):
        owner_client.get(URL)


def test_sandbox_is_named_with_its_inbox(owner_client, settings):
    settings.MAILPUSH_DELIVERY = "sandbox"
    assert 'href="/console/sandbox/"' in owner_client.get(URL, HTTP_HOST="localhost").content.decode()

    settings.MAILPUSH_DELIVERY = "mx"
    assert "pretend internet" not in owner_client.get(URL, HTTP_HOST="localhost").content.decode()


# ── Warnings ──


def warnings(account):
    now = timezone.now()
    return [warning.text for warning in standing.warnings(account, quotas.allowances(account, now=now), now=now)]


def test_all_is_well(account):
    DomainFactory(account=account)
    SenderFactory()
    DomainFactory(status=Domain.Status.SUSPENDED)

    assert warnings(account) == []


def test_warnings_of_domains(account):
    now = timezone.now()
    suspended = DomainFactory(account=account, status=Domain.Status.SUSPENDED)
    held = DomainFactory(account=account, status=Domain.Status.SUSPENDED, is_held=True)
    failing = DomainFactory(account=account, failing_since=now)
    DomainFactory(account=account, status=Domain.Status.SUSPENDED, deleted_at=now)

    assert warnings(account) == [
        f"{held.name} is held by the operator: nothing is sent from it.",
        f"{suspended.name} is suspended, because its DNS records have been wrong for days.",
        f"The DNS records of {failing.name} are not right any more. Repair them before it is suspended.",
    ]


def test_warnings_of_account_sender_and_batch(account):
    account.is_active = False
    account.daily_quota = 100
    account.save()
    today = quotas.today(account, timezone.now())
    QuotaUse.objects.create(account=account, day=today, day_used=95, month=today.replace(day=1), month_used=95)
    sender = SenderFactory(account=account, is_frozen=True)
    batch_of(sender, status=Batch.Status.CANCELED, template_name="Spring", problem="Its list was deleted.")
    batch_of(sender, status=Batch.Status.CANCELED, problem="Long ago.", created_at=timezone.now() - timedelta(days=8))

    assert warnings(account) == [
        "This account is suspended and may not send. Ask the operator of this server why.",
        "95 % of the daily quota is spent; 5 messages are left.",
        f"{sender.address} is frozen and may not send.",
        "“Spring” was not sent: Its list was deleted.",
    ]
