"""Tracked mail from its composing to what its readers do."""

import email
import email.policy
import re
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from django.conf import settings
from django.db import connection
from django.test import Client
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from domains.models import RecordCheck
from domains.services.domains import add_key
from mailpush.lib import tokens
from mailpush.mail.dkim import generate_key
from sending import tracking
from sending.delivery.composing import ContentComposer
from sending.delivery.parcels import QueuedMessage
from sending.models import Event, LinkCount, Message, Reading, Status
from sending.services import readings
from tests.factories import BatchFactory, ContentFactory, MessageFactory, SenderFactory

pytestmark = pytest.mark.django_db

BROWSER = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
HTML = (
    '<html><body><p>Dear {UserName} {{&amp;}}</p><a href="https://shop.example/?a=1&amp;b=2">Shop</a>'
    "<a class=x href='https://shop.example/{UserName}/{{x}}?m={EAddr}'>Yours</a><a href=\"mailto:a@b.example\">Mail</a>"
    '<a href="https://shop.example/terms" data-no-track>Terms</a><a href="{Website}">Site</a></body></html>'
)


def composed(content, **fields):
    """Return a message of the content, delivered a while ago, and its HTML as its reader gets it."""
    fields = {"variables": {"UserName": "安 & Co"}, **fields}
    message = MessageFactory(content=content, status=Status.DELIVERED, finished_at=an_hour_ago(), **fields)
    mail = ContentComposer(content).compose([QueuedMessage.of(message)], now=timezone.now())[0]
    part = email.message_from_bytes(mail.whole, policy=email.policy.default).get_body(("html",))
    return message, part.get_content()


def an_hour_ago():
    return timezone.now() - timedelta(hours=1)


def paths(html):
    """Return the paths of tracked links, and of the pixel."""
    *links, pixel = re.findall(r'(?:href|src)=["\']http://localhost:\d+(/t/[^"\']+)', html)
    return links, pixel


@pytest.fixture
def tracked(sender):
    return ContentFactory(sender=sender, html=HTML, is_tracked=True)


@pytest.fixture
def batch(tracked):
    return BatchFactory(content=tracked, total=3, delivered=3)


@pytest.fixture
def reader():
    return Client(enforce_csrf_checks=True, headers={"user-agent": BROWSER})


def acts():
    rows = Event.objects.filter(status__in=Event.Act.values).order_by("pk")
    return list(rows.values_list("was", "status", "n", "reader"))


def counts(batch):
    names = ("opens", "unique_opens", "clicks", "unique_clicks")
    sums = Counter()
    for row in LinkCount.objects.filter(batch=batch).values(*names):
        sums.update(row)
    return tuple(sums[name] for name in names)


# What is sent


def test_without_tracking_nothing_is_added(sender):
    _message, html = composed(ContentFactory(sender=sender, html=HTML))

    assert html == HTML.replace("{UserName}", "安 &amp; Co").replace("{{", "{").replace("}}", "}").replace(
        "{EAddr}", Message.objects.get().recipient
    ).replace("{Website}", "") + "\n" * html.endswith("\n")


def test_with_tracking_only_links_are_others_and_a_pixel_is_added(tracked, sender):
    _message, plain = composed(ContentFactory(sender=sender, html=HTML), recipient="a@b.example")
    _message, html = composed(tracked, recipient="a@b.example")

    links, pixel = paths(html)
    base = settings.MAILPUSH_PUBLIC_URL
    html = html.replace(f'<img src="{base}{pixel}" width="1" height="1" alt="">', "", 1)
    html = html.replace(f"{base}{links[0]}", "https://shop.example/?a=1&amp;b=2")
    html = html.replace(f"{base}{links[1]}", "https://shop.example/安 &amp; Co/{x}?m=a@b.example")
    assert html == plain
    assert len(links) == 2


def test_text_alone_stays_as_it_is(sender):
    content = ContentFactory(sender=sender, html="", text="https://shop.example", is_tracked=True)

    mail = ContentComposer(content).compose([QueuedMessage.of(MessageFactory(content=content))], now=timezone.now())[0]

    assert b"/t/" not in mail.whole


def test_own_host_is_used_once_it_leads_here(tracked):
    domain = tracked.sender.domain
    check = RecordCheck.objects.create(
        domain=domain, kind="tracking", outcome=RecordCheck.Outcome.WRONG, checked_at=timezone.now()
    )
    _message, before = composed(tracked)
    RecordCheck.objects.filter(pk=check.pk).update(outcome=RecordCheck.Outcome.PASSED)
    _message, after = composed(tracked)

    assert (before.count("http://localhost:"), before.count(domain.tracking_host)) == (3, 0)
    assert (after.count("http://localhost:"), after.count(f'"http://{domain.tracking_host}:8000/t/')) == (0, 2)


def test_unsubscribe_links_stay(sender):
    html = f'<a href="{settings.MAILPUSH_PUBLIC_URL}/u/abc">Unsubscribe</a>'
    _message, shown = composed(ContentFactory(sender=sender, html=html, is_tracked=True))

    assert html in shown


# Where links lead


def test_links_lead_where_the_mail_says(tracked, reader):
    message, html = composed(tracked)
    links, _pixel = paths(html)

    answers = [reader.get(path) for path in links]

    assert [answer.status_code for answer in answers] == [302, 302]
    assert answers[0]["Location"] == "https://shop.example/?a=1&b=2"
    assert answers[1]["Location"] == f"https://shop.example/%E5%AE%89%20&%20Co/%7Bx%7D?m={message.recipient}"
    assert all("no-store" in answer["Cache-Control"] and not answer.cookies for answer in answers)


def test_links_lead_on_when_every_row_is_gone(tracked, reader):
    message, html = composed(tracked)
    links, pixel = paths(html)
    message.delete()

    assert reader.get(links[0])["Location"] == "https://shop.example/?a=1&b=2"
    assert reader.get(links[1])["Location"] == "https://shop.example//%7Bx%7D?m="
    assert reader.get(pixel).status_code == 200
    assert acts() == []


def test_links_whose_ampersands_were_not_escaped_lead_to_the_same_place(sender, reader):
    href = "https://a.example/?a=1&copy=2&region={X}&amp;b={{3}}"
    _message, html = composed(ContentFactory(sender=sender, html=f'<a href="{href}">x</a>', is_tracked=True))

    assert reader.get(paths(html)[0][0])["Location"] == "https://a.example/?a=1&copy=2&region=&b=%7B3%7D"


@pytest.mark.parametrize("value", ["", "/evil", "?x", "#x"])
def test_a_host_that_is_a_variable_must_be_one(sender, reader, value):
    content = ContentFactory(sender=sender, html='<a href="https://{Host}/x">x</a>', is_tracked=True)
    _message, html = composed(content, variables={"Host": value})

    assert 'href="https://' not in html or "/t/" in html
    assert reader.get(paths(html)[0][0]).status_code == 404 if paths(html)[0] else True


def test_a_value_cannot_break_out_of_the_answer(sender, reader):
    content = ContentFactory(sender=sender, html='<a href="https://a.example/{X}">x</a>', is_tracked=True)
    _message, html = composed(content, variables={"X": "a\r\nSet-Cookie: x=1"})

    answer = reader.get(paths(html)[0][0])

    assert answer["Location"] == "https://a.example/a%0D%0ASet-Cookie:%20x=1"


@pytest.fixture(scope="module")
def genuine():
    link = tracking.Link(7, 1, "localhost", "https://shop.example/")
    return tracking.token_of(5, today=timezone.now().date()), tracking._sealed(link)


@pytest.mark.parametrize(
    "path",
    [
        "/t/", "/t/x", "/t/x.gif", "/t/x/y", "/t/x/y/z", "/t/é/é", "/t/{token}", "/t/{token}/", "/t/{token}/x",
        "/t/{token}/{sealed}x/y", "/t/{other}.gif", "/t/{other}/{sealed}", "/t/{sealed}/{token}", "/t/{token}/{token}",
        "/t/{token}/https://evil.example/", "/t/%00/%ff",
    ],
)  # fmt: skip
def test_what_is_not_ours_is_answered_by_a_clear_page(genuine, path):
    token, sealed = genuine
    unsubscribe = tokens.make("unsubscribe", 5, today=timezone.now().date())

    answer = Client(headers={"host": "track.elsewhere.example"}).get(
        path.format(token=token, sealed=sealed, other=unsubscribe)
    )

    assert answer.status_code == 404
    assert "This link is not valid" in answer.content.decode()
    assert not answer.cookies


@given(st.integers(0, 200), st.integers(1, 255))
def test_tampering_is_noticed(genuine, place, change):
    _token, sealed = genuine
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    place %= len(sealed) - 1  # the last letter has bits that say nothing
    other = letters[(letters.index(sealed[place]) + 1 + change % 63) % 64]

    with pytest.raises(tokens.BadToken):
        tracking.link_of(sealed[:place] + other + sealed[place + 1 :])


@given(
    st.integers(0, 2**24 - 1),
    st.integers(0, 2**48 - 1),
    st.from_regex(r"[a-z.]{0,20}", fullmatch=True),
    st.text(st.characters(codec="utf-8"), max_size=50),
)
def test_links_come_back_as_they_were(number, content_id, host, target):
    link = tracking.Link(content_id, number, host, target)

    assert tracking.link_of(tracking._sealed(link)) == link


def test_other_methods_and_paths_are_refused_on_tracking_hosts(tracked, reader):
    host = tracked.sender.domain.tracking_host
    verify(tracked.sender.domain)
    _message, html = composed(tracked)
    links, pixel = paths(html.replace(host, "localhost"))

    assert reader.post(links[0], headers={"host": host}).status_code == 405
    assert reader.get(links[0], headers={"host": host}).status_code == 302
    assert reader.get(pixel, headers={"host": host}).status_code == 200
    for path in ("/", "/console/", "/accounts/login/", "/api/v1/messages", "/u/x", "/healthz"):
        assert reader.get(path, headers={"host": host}).status_code == 400


def verify(domain):
    RecordCheck.objects.create(
        domain=domain, kind="tracking", outcome=RecordCheck.Outcome.PASSED, checked_at=timezone.now()
    )


def test_nobody_else_can_lead_readers_away_under_a_customers_name(tracked, reader):
    """A link of one customer, taken to the tracking host of another, is not valid there."""
    other = ContentFactory(sender=SenderFactory(), html=HTML, is_tracked=True)
    add_key(other.sender.domain, generate_key(), now=timezone.now())
    for content in (tracked, other):
        verify(content.sender.domain)
    host, foreign_host = (content.sender.domain.tracking_host for content in (tracked, other))
    _message, html = composed(other)
    path = paths(html.replace(foreign_host, "localhost"))[0][0]

    answers = {
        name: reader.get(path, headers={"host": name}) for name in (foreign_host, host, "localhost", "x.example")
    }

    assert {name: answer.status_code for name, answer in answers.items()} == {
        foreign_host: 302,
        host: 404,
        "localhost": 302,
        "x.example": 404,
    }


def test_proxy_on_this_machine_is_told_which_hosts_may_have_certificates(tracked):
    host = tracked.sender.domain.tracking_host

    def answer(domain, **where):
        return Client().get("/t/", {"domain": domain}, **where).status_code

    before = answer(host)
    verify(tracked.sender.domain)

    assert before == 404
    assert (answer(host), answer(host.upper())) == (200, 200)
    assert [answer(name) for name in ("", "\0", host[6:], f"www.{host[6:]}", f"track.{host}", "track.x.example")] == [
        404
    ] * 6
    assert answer(host, REMOTE_ADDR="192.0.2.1") == 404


# What is written down


def test_pixel_is_a_picture_and_an_open(batch, reader, django_assert_num_queries):
    message, html = composed(batch.content, batch=batch)
    _links, pixel = paths(html)

    with django_assert_num_queries(0):  # but the one that is not Django's
        answer = reader.get(pixel)

    assert (answer["Content-Type"], len(answer.content), answer.content[:6]) == ("image/gif", 43, b"GIF89a")
    assert "no-store" in answer["Cache-Control"]
    event = Event.objects.get(status="opened")
    assert (event.message_id, event.batch_id, event.account_id) == (message.pk, batch.pk, batch.account_id)
    assert (event.sender_id, event.day, event.url) == (batch.sender_id, message.day, "")
    assert counts(batch) == (1, 1, 0, 0)


def test_clicks_are_counted_by_link_and_reader(batch, reader):
    message, html = composed(batch.content, batch=batch)
    (shop, yours), pixel = paths(html)
    _other, other_html = composed(batch.content, batch=batch)

    for path in (pixel, shop, shop, yours, pixel, paths(other_html)[0][1]):
        reader.get(path)

    assert acts() == [
        ("unread", "opened", 1, "person"),
        ("unread", "clicked", 1, "person"),
        ("clicked", "clicked", 1, "person"),
        ("clicked", "clicked", 1, "person"),
        ("opened", "opened", 1, "person"),
        ("unread", "clicked", 1, "person"),
    ]
    assert counts(batch) == (2, 1, 4, 2)
    by_url = Counter()
    for row in LinkCount.objects.exclude(number=0):
        by_url[row.url] += row.clicks
    assert by_url == {"https://shop.example/?a=1&b=2": 2, "https://shop.example/{UserName}/{{x}}?m={EAddr}": 2}
    reading = Reading.objects.get(message_id=message.pk)
    assert (reading.looks, reading.opens, reading.clicks) == (5, 2, 3)


def test_head_is_answered_and_not_written_down(tracked, reader):
    _message, html = composed(tracked)
    links, pixel = paths(html)

    answers = [reader.head(path) for path in (*links, pixel)]

    assert [answer.status_code for answer in answers] == [302, 302, 200]
    assert "%E5%AE%89" in answers[1]["Location"]
    assert acts() == []


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"user-agent": BROWSER}, "person"),
        ({"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15"}, "person"),
        ({"user-agent": "Mozilla/5.0 (Linux; Android 9; CUBOT X19) AppleWebKit/537.36"}, "person"),
        ({"user-agent": "Mozilla/5.0"}, "proxy"),
        ({"user-agent": "Mozilla/5.0 (Windows NT 5.1) Firefox/11.0 (via ggpht.com GoogleImageProxy)"}, "proxy"),
        ({"user-agent": "YahooMailProxy; https://help.yahoo.com/"}, "proxy"),
        ({"user-agent": ""}, "machine"),
        ({"user-agent": "python-requests/2.32"}, "machine"),
        ({"user-agent": "Mozilla/5.0 (compatible; Googlebot/2.1)"}, "machine"),
        ({"user-agent": "Mozilla/5.0 BingPreview/1.0b"}, "machine"),
        ({"user-agent": BROWSER, "sec-purpose": "prefetch;prerender"}, "machine"),
        ({"user-agent": BROWSER, "purpose": "prefetch"}, "machine"),
        ({"user-agent": BROWSER, "x-moz": "prefetch"}, "machine"),
    ],
)
def test_machines_are_told_from_people(batch, headers, expected):
    _message, html = composed(batch.content, batch=batch)
    links, pixel = paths(html)
    client = Client(headers=headers)

    assert [client.get(path).status_code for path in (pixel, links[0])] == [200, 302]

    counted = expected != "machine"
    assert [(status, n, reader) for _was, status, n, reader in acts()] == [
        ("opened", int(counted), expected),
        ("clicked", int(counted), expected),
    ]
    assert counts(batch) == ((1, 1, 1, 1) if counted else (0, 0, 0, 0))


def test_a_gateway_that_follows_links_on_arrival_is_a_machine(batch, reader):
    message, html = composed(batch.content, batch=batch)
    links, pixel = paths(html)

    Message.objects.filter(pk=message.pk).update(status=Status.QUEUED, finished_at=None)
    reader.get(links[0])
    Message.objects.filter(pk=message.pk).update(status=Status.DELIVERED, finished_at=timezone.now())
    reader.get(pixel)
    Message.objects.filter(pk=message.pk).update(finished_at=an_hour_ago())
    reader.get(pixel)

    assert acts() == [
        ("clicked", "clicked", 0, "machine"),
        ("opened", "opened", 0, "machine"),
        ("unread", "opened", 1, "person"),
    ]
    assert counts(batch) == (1, 1, 0, 0)


def test_a_loop_does_not_fill_the_database(batch, reader):
    message, html = composed(batch.content, batch=batch)
    _links, pixel = paths(html)
    reader.get(pixel)
    Reading.objects.update(looks=readings.MOST_LOOKS - 1)

    for _ in range(3):
        assert reader.get(pixel).status_code == 200

    assert len(acts()) == 2
    assert counts(batch) == (2, 1, 0, 0)
    assert Reading.objects.get().looks == readings.MOST_LOOKS
    assert message.pk == Reading.objects.get().message_id


def test_a_link_counts_for_messages_of_its_own_content_alone(batch, reader):
    """Whoever puts parts of two links together is led to where one of them leads, and counts nothing."""
    _message, html = composed(batch.content, batch=batch)
    others = BatchFactory(content=ContentFactory(sender=batch.sender, html=HTML, is_tracked=True))
    _stranger, foreign = composed(others.content, batch=others, variables={"UserName": "Secret"})
    own, other = paths(html)[0][1], paths(foreign)[0][1]
    mixed = f"/t/{other.split('/')[2]}/{own.split('/')[3]}"

    answer = reader.get(mixed)

    assert answer["Location"] == "https://shop.example//%7Bx%7D?m="
    assert acts() == []


@pytest.fixture
def database_away(monkeypatch):
    """From the call on nothing answers where the database was."""

    def leave():
        connection.close()
        connection.close_pool()
        for name, value in (("HOST", "127.0.0.1"), ("PORT", "1")):
            monkeypatch.setitem(connection.settings_dict, name, value)

    monkeypatch.setattr(readings, "_away_until", 0.0)
    yield leave
    connection.close()
    connection.close_pool()
    monkeypatch.undo()


@pytest.mark.django_db(transaction=True)
def test_readers_do_not_wait_for_a_database_that_is_away(batch, reader, database_away):
    _message, html = composed(batch.content, batch=batch)
    (shop, yours), pixel = paths(html)
    database_away()
    begun = time.monotonic()

    answers = [*(reader.get(path) for path in (shop, yours, pixel)), reader.head(yours)]

    assert [answer.status_code for answer in answers] == [302, 503, 200, 503]
    assert answers[0]["Location"] == "https://shop.example/?a=1&b=2"
    assert "Try again in a minute" in answers[1].content.decode()
    assert time.monotonic() - begun < 5  # one of them has waited for a second


@pytest.mark.django_db(transaction=True)
def test_two_opens_at_once_are_one_unique(batch):
    _message, html = composed(batch.content, batch=batch)
    _links, pixel = paths(html)
    together = threading.Barrier(8)

    def look():
        together.wait(30)
        Client(headers={"user-agent": BROWSER}).get(pixel)
        connection.close()

    threads = [threading.Thread(target=look) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counts(batch) == (8, 1, 0, 0)
    assert Counter(was for was, *_rest in acts()) == {"unread": 1, "opened": 7}
