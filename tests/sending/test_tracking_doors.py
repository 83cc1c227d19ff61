"""How tracking is asked for, and where what readers do is shown."""

import email
import email.policy
import re

import dkim
import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Membership, Role
from domains.models import DkimKey
from sending.models import Batch, Content, Event, LinkCount, Message
from sending.webhooks import sources
from tests.conftest import Program
from tests.factories import (
    BatchFactory,
    ContentFactory,
    RecipientFactory,
    RecipientListFactory,
    SenderFactory,
    TemplateFactory,
)
from tests.sending.test_tracking import BROWSER, composed, paths
from tests.sending.test_views_orders import ORDER, confirmed

pytestmark = pytest.mark.django_db

HTML = '<p>Hello {UserName}</p><a href="https://shop.example/{UserName}?a=1&amp;b=2">Shop</a>'


@pytest.fixture
def reader():
    return Client(headers={"user-agent": BROWSER})


@pytest.fixture
def own(sender, account):
    """A sender of `account`, whose domain signs."""
    sender.domain.account = sender.account = account
    sender.domain.save()
    sender.save()
    return sender


@pytest.fixture
def batch(own):
    return BatchFactory(content=ContentFactory(sender=own, html=HTML, is_tracked=True), total=4, delivered=4)


@pytest.fixture
def read(batch, reader):
    """Have a message of the batch opened and its link followed; return it."""
    message, html = composed(batch.content, batch=batch, recipient="ann@readers.example")
    links, pixel = paths(html)
    for path in (pixel, pixel, links[0]):
        reader.get(path)
    Client(headers={"user-agent": "curl/8"}).get(pixel)
    return message


@pytest.fixture
def things(account):
    """All that an order needs."""
    sender = SenderFactory(account=account, domain__account=account)
    template = TemplateFactory(account=account, approve=True, html=HTML)
    readers = RecipientListFactory(account=account, count=1)
    RecipientFactory(list=readers, address="ann@readers.example")
    return {"list": readers, "template": template, "sender": sender}


# On the wire


def test_tracked_batch_arrives_signed_and_leads_on(internet, start_batch, deliver, sender, reader):
    batch = start_batch("ann@north.example", "bob@south.example", html=HTML, is_tracked=True)

    deliver()

    for mail in internet.mails:
        record = DkimKey.objects.get(domain=sender.domain).public_record.encode()
        assert dkim.verify(mail.raw, dnsfunc=lambda name, timeout=5: record)  # noqa: B023 - asked at once
        parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
        links, _pixel = paths(parsed.get_body(("html",)).get_content())
        name = mail.rcpt_to.partition("@")[0]
        assert reader.get(links[0])["Location"] == f"https://shop.example/{name}?a=1&b=2"
    assert {event.batch_id for event in Event.objects.filter(status="clicked")} == {batch.pk}


def test_finished_mail_is_tracked_for_each_recipient(internet, deliver, program, own, reader):
    """Attachments and fields of a program's make a whole mail at once; its links are its recipients' all the same."""
    answer = program.call(
        "POST",
        "messages",
        {
            "sender": own.address,
            "recipients": [
                {"address": f"{name}@north.example", "variables": {"UserName": name}} for name in ("ann", "bob")
            ],
            "subject": "Hello {UserName}",
            "html": HTML,
            "headers": {"X-Order": "1"},
            "tracked": True,
        },
    )
    assert answer.status_code == 202, answer.content

    deliver()

    found = {}
    for mail in internet.mails:
        record = DkimKey.objects.get(domain=own.domain).public_record.encode()
        assert dkim.verify(mail.raw, dnsfunc=lambda name, timeout=5: record)  # noqa: B023 - asked at once
        parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
        links, pixel = paths(parsed.get_body(("html",)).get_content())
        found[mail.rcpt_to] = reader.get(links[0])["Location"]
        assert reader.get(pixel).status_code == 200
    assert found == {f"{name}@north.example": f"https://shop.example/{name}?a=1&b=2" for name in ("ann", "bob")}
    messages = {message.pk for message in Message.objects.all()}
    assert {event.message_id for event in Event.objects.filter(status="opened")} == messages


# REST


def test_messages_are_tracked_where_a_program_says_so(program, own):
    wanted = {"sender": own.address, "recipients": [{"address": "a@b.example"}], "subject": "x", "html": HTML}

    program.call("POST", "messages", wanted)
    program.call("POST", "messages", wanted | {"tracked": True})
    refused = program.call("POST", "messages", wanted | {"tracked": "perhaps"})

    assert list(Content.objects.order_by("pk").values_list("is_tracked", flat=True)) == [False, True]
    assert (refused.status_code, refused.json()["field"]) == (422, "tracked")


def test_message_shows_what_its_reader_did(program, strange_program, read):
    shown = program.call("GET", f"messages/{read.pk}").json()

    assert shown["tracked"] is True
    assert [(event["was"], event["status"], event["url"], event["reader"]) for event in shown["events"]] == [
        ("unread", "opened", "", "person"),
        ("opened", "opened", "", "person"),
        ("unread", "clicked", "https://shop.example/{UserName}?a=1&b=2", "person"),
        ("opened", "opened", "", "machine"),
    ]
    assert strange_program.call("GET", f"messages/{read.pk}").status_code == 404


def test_batches_are_ordered_tracked_and_show_what_readers_did(program, things, read):
    names = {"list": str(things["list"].pk), "template": str(things["template"].pk)}
    ordered = program.call("POST", "batches", names | {"sender": things["sender"].address, "tracked": True})
    shown = program.call("GET", f"batches/{read.batch_id}").json()
    listed = program.call("GET", "batches").json()["data"]

    nothing = {"opens": 0, "unique_opens": 0, "clicks": 0, "unique_clicks": 0}
    assert (ordered.json()["tracked"], ordered.json()["readings"]) == (True, nothing)
    assert Batch.objects.get(pk=ordered.json()["id"]).content.is_tracked
    assert shown["links"] == [{"url": "https://shop.example/{UserName}?a=1&b=2", "clicks": 1}]
    assert shown["readings"] == {"opens": 2, "unique_opens": 1, "clicks": 1, "unique_clicks": 1}
    assert [each["readings"] for each in listed] == [nothing, shown["readings"]]


@pytest.mark.parametrize("rows", [1, 3])
def test_list_of_batches_asks_as_often_for_many(program, own, rows, django_assert_num_queries):
    for _ in range(rows):
        BatchFactory(content=ContentFactory(sender=own))
    program.call("GET", "batches")

    with django_assert_num_queries(1):
        assert len(program.call("GET", "batches").json()["data"]) == rows


# Webhooks


def test_webhooks_are_told_of_people_alone(read):
    newest = Event.objects.order_by("pk").last().pk

    told = sources.read(sources.SOURCES[0], after=0, to=newest, accounts=[read.account_id])

    assert [(each.kind, each.data.get("url"), each.data.get("reader")) for each in told] == [
        ("message.opened", "", "person"),
        ("message.opened", "", "person"),
        ("message.clicked", "https://shop.example/{UserName}?a=1&b=2", "person"),
    ]
    assert {each.data["recipient"] for each in told} == {"ann@readers.example"}


# Console


@pytest.mark.parametrize("is_tracked", [True, False])
def test_order_says_and_keeps_whether_it_is_tracked(owner_client, things, is_tracked):
    changes = {"is_tracked": "on"} if is_tracked else {}

    token = confirmed(owner_client, things, **changes)
    owner_client.post(ORDER, {"token": token})

    assert Batch.objects.get().content.is_tracked is is_tracked


def test_confirmation_says_what_is_counted_and_leads_back_to_the_choice(owner_client, things):
    answers = {name: thing.pk for name, thing in things.items()}
    answers |= {"address_type": "random", "when": "now", "is_tracked": "on"}

    page = owner_client.post(reverse("sending:batch-create"), answers).content.decode()

    assert "are counted" in page
    back = re.search(r'href="([^"]*batches/new/[^"]*)"', page)[1].replace("&amp;", "&")
    assert re.search(r'<input[^>]*name="is_tracked"[^>]*checked', owner_client.get(back).content.decode())


def test_batch_page_shows_figures_and_links(owner_client, read):
    page = owner_client.get(reverse("sending:batch", args=[read.batch_id]))
    text = " ".join(re.sub(r"<[^>]+>", " ", page.content.decode()).split())

    assert page.context["readings"] == {"opens": 2, "unique_opens": 1, "clicks": 1, "unique_clicks": 1}
    assert "Opens 2 Unique opens 1 25 % Clicks 1 Unique clicks 1 25 %" in text
    assert "https://shop.example/{UserName}?a=1&amp;b=2 1" in text


def test_batch_page_says_that_nobody_has_read_it(owner_client, batch):
    page = owner_client.get(reverse("sending:batch", args=[batch.pk])).content.decode()

    assert "Nobody has opened it yet" in page


def test_batch_without_tracking_says_nothing_of_it(owner_client, own):
    batch = BatchFactory(content=ContentFactory(sender=own))

    page = owner_client.get(reverse("sending:batch", args=[batch.pk])).content.decode()

    assert "Opens and clicks" not in page


def test_most_followed_links_come_first_and_are_bounded(owner_client, batch):
    nothing = {"opens": 0, "unique_opens": 0, "unique_clicks": 0}
    LinkCount.objects.bulk_create(
        LinkCount(batch=batch, number=n, slot=slot, url=f"https://shop.example/{n}", clicks=n, **nothing)
        for n in range(1, 61)
        for slot in range(2)
    )

    page = owner_client.get(reverse("sending:batch", args=[batch.pk]))

    assert [link["count"] for link in page.context["links"]] == [2 * n for n in range(60, 10, -1)]
    assert "The most followed links are shown." in page.content.decode()


def test_message_page_shows_every_look_and_counts_none_of_its_own(owner_client, read):
    page = owner_client.get(reverse("sending:message", args=[read.pk])).content.decode()
    frame = owner_client.get(reverse("sending:message-html", args=[read.pk])).content.decode()
    source = owner_client.get(reverse("sending:message-source", args=[read.pk])).content.decode()

    assert page.count("not counted") == 1
    assert "It is shown without tracking" in page
    assert "/t/" not in frame
    assert "/t/" not in source
    assert 'href="https://shop.example/' in frame


def test_strangers_see_nothing_of_it(client_of, stranger, read):
    client = client_of(Membership.objects.get(account=stranger.account))

    for name, pk in (("sending:batch", read.batch_id), ("sending:message", read.pk)):
        assert client.get(reverse(name, args=[pk])).status_code == 404


def test_keys_of_viewers_cannot_send_tracked_mail(account, own):
    viewer = Program(account, role=Role.VIEWER)
    wanted = {"sender": own.address, "recipients": [{"address": "a@b.example"}], "subject": "x", "html": HTML}

    assert viewer.call("POST", "messages", wanted | {"tracked": True}).status_code == 403
    assert not Content.objects.exists()
