from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from html.parser import HTMLParser
from threading import Barrier
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import pytest
from django.core import signing
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from accounts.models import AuditEntry, Role
from recipients.models import Suppression
from senders.models import Stream
from sending.models import AddressType, Batch
from sending.services import batches
from tests.factories import (
    ApprovedVersionFactory,
    RecipientFactory,
    RecipientListFactory,
    SenderFactory,
    TagFactory,
    TemplateFactory,
)

FORM = reverse("sending:batch-create")
ORDER = reverse("sending:batch-order")


class HiddenToken(HTMLParser):
    value = ""

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "input" and attributes.get("name") == "token":
            self.value = attributes["value"]


@pytest.fixture
def things(account):
    """All that an order needs: what the form is filled in with."""
    sender = SenderFactory(account=account, domain__account=account)
    template = TemplateFactory(account=account, approve=True, name="Autumn", subject="Hello {UserName}")
    readers = RecipientListFactory(account=account, name="Readers", count=3)
    for n in range(3):
        RecipientFactory(list=readers, address=f"r{n}@readers.test", variables={"UserName": f"Reader {n}"})
    return {"list": readers, "template": template, "sender": sender}


def filled_in(things, **changes):
    answers = {name: thing.pk for name, thing in things.items()}
    return {**answers, "address_type": "random", "when": "now", **changes}


def confirmed(client, things, **changes) -> str:
    """Fill the form in and return the token of the confirmation page."""
    page = client.post(FORM, filled_in(things, **changes))
    assert page.status_code == 200
    reader = HiddenToken()
    reader.feed(page.content.decode())
    assert reader.value
    return reader.value


@pytest.mark.django_db
class TestForm:
    def test_says_what_is_missing(self, owner_client, account):
        RecipientListFactory(account=account)

        page = owner_client.get(FORM)

        assert page.context["missing"] == {"sender": True, "template": True}
        assert reverse("senders:index") in page.content.decode()
        assert reverse("templates_app:index") in page.content.decode()

    def test_offers_only_what_may_be_sent(self, owner_client, account, things):
        strangers = SenderFactory(), RecipientListFactory(), TemplateFactory(approve=True)
        SenderFactory(account=account, domain=things["sender"].domain, stream=Stream.TRIGGER)
        SenderFactory(account=account, domain=things["sender"].domain, is_frozen=True)
        TemplateFactory(account=account)

        form = owner_client.get(FORM).context["form"]

        offered = {name: list(form.fields[name].queryset) for name in things}
        assert offered == {name: [thing] for name, thing in things.items()}
        assert strangers

    def test_takes_no_strangers_things(self, owner_client, things):
        others = {
            "list": RecipientListFactory(count=1).pk,
            "template": TemplateFactory(approve=True).pk,
            "sender": SenderFactory().pk,
            "tag": TagFactory().pk,
        }

        page = owner_client.post(FORM, filled_in(things, **others))

        assert set(page.context["form"].errors) == set(others)
        assert not Batch.objects.exists()

    def test_shows_what_is_chosen_already(self, owner_client, things):
        page = owner_client.get(FORM, {"list": things["list"].pk, "at": "2030-01-01T10:00"})

        form = page.context["form"]
        assert (form["list"].value(), form["when"].value()) == (str(things["list"].pk), "later")

    def test_wants_a_time_for_later(self, owner_client, things):
        page = owner_client.post(FORM, filled_in(things, when="later"))

        assert page.context["form"].errors == {"at": ["Say when the batch is to be sent."]}

    def test_shows_a_refusal_at_its_field(self, owner_client, things):
        page = owner_client.post(FORM, filled_in(things, when="later", at="2001-01-01T10:00"))

        assert list(page.context["form"].errors) == ["at"]

    def test_viewer_may_not(self, client_of, member, things):
        client = client_of(member(Role.VIEWER))

        assert client.get(FORM).status_code == 403
        assert client.post(ORDER, {"token": "x"}).status_code == 403


@pytest.mark.django_db
class TestConfirmation:
    def test_shows_what_would_happen(self, owner_client, account, things):
        Suppression.objects.create(account=account, address="r1@readers.test", reason="bounced")
        Suppression.objects.create(account=None, address="r1@readers.test", reason="manual")
        Suppression.objects.create(
            account=account,
            address="r2@readers.test",
            reason="unsubscribed",
            scope="sender",
            scope_value="other@x.test",
        )

        page = owner_client.post(FORM, filled_in(things))

        reach = page.context["audience"]
        assert (reach.recipients, reach.suppressed, reach.reached) == (3, 1, 2)
        assert page.context["subject"] == "Hello Reader 0"
        assert page.context["quota_left"] == account.daily_quota
        assert "Send to 2 recipients" in page.content.decode()
        assert not Batch.objects.exists()

    def test_warns_of_a_spent_quota(self, owner_client, account, things):
        account.daily_quota = 2
        account.save()

        page = owner_client.post(FORM, filled_in(things))

        assert page.context["is_over_quota"]
        assert b"2 messages are left" in page.content

    def test_way_back_keeps_the_choices(self, owner_client, account, things):
        tag = TagFactory(account=account)
        at = (timezone.now() + timedelta(days=2)).strftime("%Y-%m-%dT%H:%M")

        page = owner_client.post(FORM, filled_in(things, tag=tag.pk, address_type="sender", when="later", at=at))

        chosen = parse_qs(urlsplit(page.context["form_url"]).query)
        expected = {**filled_in(things), "tag": tag.pk, "address_type": "sender", "at": at}
        del expected["when"]
        assert chosen == {name: [str(value)] for name, value in expected.items()}

    def test_preview_shows_the_approved_version_only(self, owner_client, things):
        template = things["template"]
        template.html = "<p>An edit that nobody has approved</p>"
        template.save()
        url = reverse("sending:batch-preview", args=[template.pk])

        page = owner_client.get(url, {"list": things["list"].pk})

        assert page.content.decode() == "<p>Hello Reader 0</p>"
        assert page["Content-Security-Policy"].startswith("sandbox; default-src 'none'")

    @pytest.mark.parametrize("chosen", ["", "x", "²"])
    def test_preview_without_a_list(self, owner_client, things, chosen):
        page = owner_client.get(reverse("sending:batch-preview", args=[things["template"].pk]), {"list": chosen})

        assert page.status_code == 200

    def test_preview_of_strangers_templates_is_not_found(self, owner_client):
        stranger = TemplateFactory(approve=True)

        assert owner_client.get(reverse("sending:batch-preview", args=[stranger.pk])).status_code == 404

    def test_preview_takes_no_names_from_strangers_lists(self, owner_client, things):
        stranger = RecipientFactory(variables={"UserName": "Secret"})

        page = owner_client.get(
            reverse("sending:batch-preview", args=[things["template"].pk]), {"list": stranger.list_id}
        )

        assert b"Secret" not in page.content


@pytest.mark.django_db
class TestOrder:
    def test_orders_what_was_confirmed(self, owner_client, account, things):
        tag = TagFactory(account=account)
        token = confirmed(owner_client, things, tag=tag.pk, address_type="sender")

        answer = owner_client.post(ORDER, {"token": token})

        batch = Batch.objects.get()
        assert answer.url == reverse("sending:batch", args=[batch.pk])
        assert (batch.account, batch.list, batch.sender, batch.tag) == (account, things["list"], things["sender"], tag)
        assert (batch.address_type, batch.status, batch.requested) == (AddressType.SENDER, Batch.Status.PREPARING, 3)
        assert batch.created_by == owner_client.membership.user.email

    def test_orders_for_a_time_in_the_users_zone(self, owner_client, things):
        user = owner_client.membership.user
        user.time_zone = "Asia/Shanghai"
        user.save()
        tomorrow = (timezone.now() + timedelta(days=1)).replace(hour=0, minute=30, second=0, microsecond=0)
        local = tomorrow.strftime("%Y-%m-%dT08:30")

        owner_client.post(ORDER, {"token": confirmed(owner_client, things, when="later", at=local)})

        batch = Batch.objects.get()
        assert (batch.status, batch.scheduled_at) == (Batch.Status.SCHEDULED, tomorrow)

    def test_twice_gives_one_batch(self, owner_client, things):
        token = confirmed(owner_client, things)

        first, second = (owner_client.post(ORDER, {"token": token}) for _ in range(2))

        assert Batch.objects.count() == 1
        assert first.url == second.url
        assert AuditEntry.objects.filter(action="batch.created").count() == 1

    def test_confirmed_twice_gives_two(self, owner_client, things):
        for _ in range(2):
            owner_client.post(ORDER, {"token": confirmed(owner_client, things)})

        assert Batch.objects.count() == 2

    def test_forged_or_old_confirmation_orders_nothing(self, owner_client, things):
        token = confirmed(owner_client, things)
        forged = signing.dumps({"account": 1}, salt="something.else")

        for bad in ("", token[:-1], forged):
            assert owner_client.post(ORDER, {"token": bad}).url == FORM

        assert not Batch.objects.exists()

    def test_of_another_account_is_not_found(self, owner_client, client_of, stranger, things):
        token = confirmed(owner_client, things)
        other = client_of(stranger.user.memberships.get())

        assert other.post(ORDER, {"token": token}).status_code == 404
        assert not Batch.objects.exists()

    def test_of_another_version_is_shown_again_first(self, owner_client, things):
        token = confirmed(owner_client, things)
        template = things["template"]
        template.approved = ApprovedVersionFactory(template=template, html="<p>Other</p>", content_hash="f" * 64)
        template.save()

        answer = owner_client.post(ORDER, {"token": token}, follow=True)

        assert b"Another version of the template" in answer.content
        assert not Batch.objects.exists()

    def test_of_what_is_gone_orders_nothing(self, owner_client, things):
        token = confirmed(owner_client, things)
        things["list"].deleted_at = timezone.now()
        things["list"].save()

        answer = owner_client.post(ORDER, {"token": token}, follow=True)

        assert b"was deleted meanwhile" in answer.content or answer.context["missing"] == {"list": True}
        assert not Batch.objects.exists()

    def test_refused_order_leads_back_to_the_choices(self, owner_client, account, things):
        token = confirmed(owner_client, things)
        account.daily_quota = 1
        account.save()

        answer = owner_client.post(ORDER, {"token": token}, follow=True)

        assert "daily quota" in answer.content.decode()
        assert answer.context["form"]["sender"].value() == str(things["sender"].pk)
        assert not Batch.objects.exists()


@pytest.mark.django_db(transaction=True)
def test_two_requests_at_once_give_one_batch(actor, things):
    """Both have found no batch of this key: the database decides."""
    wanted = batches.Order(**things, address_type=AddressType.RANDOM, key=uuid4())
    start = Barrier(2)

    def order(_n):
        try:
            start.wait(10)
            return batches.order(wanted, by=actor, now=timezone.now()).pk
        finally:
            connection.close()

    with ThreadPoolExecutor(2) as threads:
        ordered = set(threads.map(order, range(2)))

    assert ordered == {Batch.objects.get().pk}
