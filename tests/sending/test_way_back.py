"""From the order to the mark on the list: what the sandbox's recipients send back, through the real doors."""

import time

import pytest
from django.urls import reverse
from django.utils import timezone

from mailpush.sandbox.reports import Postman
from recipients.models import RecipientList, Suppression
from sending import returns, tasks
from sending.models import AddressType, Feedback, Message, Returned
from stats import rollups
from stats.models import DailyFigure
from tests.factories import MembershipFactory
from tests.sending.conftest import Internet, statuses
from tests.sending.mx_server import MxServer

pytestmark = pytest.mark.django_db(transaction=True)

PATIENCE = 30.0  # seconds
FATES = ("reader", "bounce", "late", "late-5.2.2", "late-5.7.1", "complain", "away", "defer")


@pytest.fixture
def internet(tmp_path, settings, monkeypatch):
    """The sink answers at once, to a door of ours."""
    monkeypatch.setattr("mailpush.sandbox.reports.SENT_AFTER", 0)
    monkeypatch.setattr(tasks.read_returned, "delay", lambda: None)
    with MxServer() as mx, Internet(tmp_path, postman=Postman("127.0.0.1", mx.port, "sink.test")) as internet:
        settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", internet.dns_port)]
        settings.MAILPUSH_MX_PORT = internet.smtp_port
        yield internet


def read_all(count):
    end = time.monotonic() + PATIENCE
    while Returned.objects.exclude(read_at=None).count() < count and time.monotonic() < end:
        returns.read_new(now=timezone.now())
        time.sleep(0.05)


@pytest.mark.parametrize("address_type", list(AddressType))
def test_what_comes_back_ends_in_status_suppression_figures_and_mark(
    internet, start_batch, deliver, sender, client_of, address_type
):
    batch = start_batch(*(f"{fate}@north.example" for fate in FATES), address_type=address_type)
    deliver()
    read_all(5)
    rollups.roll_up()

    assert statuses(batch) == {
        "reader@north.example": "delivered",
        "bounce@north.example": "bounced",
        "late@north.example": "bounced",
        "late-5.2.2@north.example": "bounced",
        "late-5.7.1@north.example": "bounced",
        "complain@north.example": "delivered",
        "away@north.example": "delivered",
        "defer@north.example": "deferred",
    }
    assert dict(Suppression.objects.values_list("address", "reason")) == {
        "bounce@north.example": "bounced",
        "late@north.example": "bounced",
        "complain@north.example": "complained",
    }
    figure = DailyFigure.objects.get(sender=sender)
    assert (figure.total, figure.success, figure.failed, figure.invalid) == (8, 3, 2, 2)
    batch.refresh_from_db()
    assert (batch.delivered, batch.bounced, batch.deferred) == (3, 4, 1)
    assert list(Feedback.objects.values_list("recipient", "kind")) == [("complain@north.example", "complained")]
    assert not Returned.objects.filter(message_id=None).exists()

    client = client_of(MembershipFactory(account=sender.account))
    marked = client.get(reverse("recipients:list", args=[RecipientList.objects.get().pk]), {"show": "invalid"})
    assert [row.address for row, _ in marked.context["rows"]] == ["bounce@north.example", "late@north.example"]
    message = Message.objects.get(recipient="late@north.example")
    page = client.get(reverse("sending:message", args=[message.pk])).content.decode()
    assert "reported by mail, after it had been taken" in page
    (answer,) = client.get(reverse("sending:returned"), {"kind": "auto_reply"}).context["rows"]
    assert answer[1].recipient == "away@north.example"
