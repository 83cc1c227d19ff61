from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import Role
from domains.models import DkimKey
from domains.services.domains import add_key
from mailpush.mail.replies import Failure
from senders.models import Stream
from sending import bodies, reports
from sending.delivery import shaping
from sending.models import UNROUTED, AddressType, Batch, Content, Destination, Lane, Status
from tests.factories import BatchFactory, ContentFactory, EventFactory, MessageFactory, SenderFactory, TagFactory

INDEX = reverse("sending:messages")
MIME = b"From: a@x.test\r\nSubject: =?utf-8?b?5L2g5aW9?=\r\nContent-Type: %b\r\n\r\n%b"

pytestmark = pytest.mark.django_db


@pytest.fixture
def sender(account, private_key):
    """A sender of the account whose domain signs."""
    sender = SenderFactory(account=account, domain__account=account)
    add_key(sender.domain, private_key, now=timezone.now())
    return sender


@pytest.fixture
def content(sender):
    return ContentFactory(sender=sender, reply_to="help@readers.test")


@pytest.fixture
def message(content):
    return MessageFactory(batch=BatchFactory(content=content, total=1), recipient="anna@readers.test")


def url(name, message):
    return reverse(f"sending:{name}", args=[message.pk])


def shown(page):
    return [row.pk for row in page.context["slice"].rows]


def submitted(sender, mime):
    return Content.objects.create(
        account=sender.account,
        sender=sender,
        stream=sender.stream,
        address_type=AddressType.RANDOM,
        **bodies.store(mime),
    )


class TestIndex:
    def test_shows_the_latest_single_messages(self, owner_client, content):
        singles = MessageFactory.create_batch(21, content=content)
        MessageFactory(batch=BatchFactory(content=content))
        MessageFactory()

        first = owner_client.get(INDEX)
        second = owner_client.get(INDEX + first.context["slice"].next_url)

        newest = [message.pk for message in reversed(singles)]
        assert (shown(first), shown(second)) == (newest[:20], newest[20:])

    def test_finds_by_the_beginning_of_the_address(self, owner_client, content):
        old = MessageFactory(content=content, recipient="Anna@readers.test")
        new = MessageFactory(batch=BatchFactory(content=content), recipient="anna@readers.test")
        other = MessageFactory(content=content, recipient="anna.b@readers.test")
        MessageFactory(content=content, recipient="hanna@readers.test")
        MessageFactory(recipient="anna@readers.test")

        assert shown(owner_client.get(INDEX, {"q": "ANNA"})) == [other.pk, new.pk, old.pk]
        assert shown(owner_client.get(INDEX, {"q": " anna@readers.test "})) == [new.pk, old.pk]
        assert shown(owner_client.get(INDEX, {"q": "%anna"})) == []

    def test_pages_of_one_address_show_each_once(self, owner_client, content):
        MessageFactory.create_batch(25, content=content, recipient="anna@readers.test")
        MessageFactory.create_batch(25, content=content, recipient="anna@readers.test2")
        address, seen = f"{INDEX}?q=anna", []

        while address:
            page = owner_client.get(address)
            seen += shown(page)
            address = page.context["slice"].next_url and INDEX + page.context["slice"].next_url

        assert len(seen) == len(set(seen)) == 50

    @pytest.mark.parametrize("after", ["x", ".", "1.", "1.anna\0", "²", f"{'9' * 40}.a"])
    @pytest.mark.parametrize("query", ["", "anna"])
    def test_any_place_is_a_place(self, owner_client, message, query, after):
        assert owner_client.get(INDEX, {"q": query, "after": after}).status_code == 200

    def test_says_what_appears_here(self, owner_client):
        assert "No single messages yet" in owner_client.get(INDEX).content.decode()
        assert "No message to such an address" in owner_client.get(INDEX, {"q": "x"}).content.decode()

    @pytest.mark.parametrize("number", [1, 3])
    @pytest.mark.parametrize("query", ["", "reader"])
    def test_number_of_queries(self, owner_client, content, django_assert_max_num_queries, number, query):
        MessageFactory.create_batch(number, content=content)

        with django_assert_max_num_queries(4) as queries:
            owner_client.get(INDEX, {"q": query})

        assert "COUNT(" not in " ".join(query["sql"] for query in queries.captured_queries)


@pytest.mark.parametrize("name", ["message", "message-html", "message-source"])
class TestAccess:
    def test_stranger_finds_nothing(self, owner_client, name):
        assert owner_client.get(url(name, MessageFactory())).status_code == 404

    def test_viewer_may_look(self, client_of, member, message, name):
        assert client_of(member(Role.VIEWER)).get(url(name, message)).status_code == 200

    def test_visitor_logs_in_first(self, client, message, name):
        assert client.get(url(name, message)).url.startswith("/accounts/login/")


class TestDetail:
    def test_shows_the_mail_of_this_recipient(self, owner_client, message, sender):
        page = owner_client.get(url("message", message))

        mail = page.context["mail"]
        assert (mail.subject, mail.text.strip(), mail.reply_to) == ("Hello Anna", "Dear Anna", "help@readers.test")
        assert sender.address in mail.author
        assert "DKIM-Signature" in mail.shown_source

    def test_shows_every_attempt(self, owner_client, message, sender):
        EventFactory(
            sender=sender,
            message_id=message.pk,
            was=Status.QUEUED,
            status=Status.DEFERRED,
            attempt=1,
            host="mx.readers.test [192.0.2.1]",
            code=451,
            failure=Failure.TRANSIENT,
            reply="451 4.7.1 <b>come back later</b>",
            tls=True,
            seconds=1.234,
        )
        EventFactory(sender=sender, message_id=message.pk + 1, reply="of another message")

        text = owner_client.get(url("message", message)).content.decode()

        for words in ("attempt 1", "mx.readers.test [192.0.2.1]", "451", "encrypted (TLS)", "1.23 s"):
            assert words in text
        assert "Receiver asks to come back later" in text
        assert "&lt;b&gt;come back later" in text
        assert "of another message" not in text

    @pytest.mark.parametrize("status", Status.values)
    def test_says_every_status_in_words(self, owner_client, content, status):
        message = MessageFactory(content=content, status=status, invalid=status == Status.BOUNCED)

        with translation.override("en"):
            assert owner_client.get(url("message", message)).status_code == 200

    def test_is_there_after_the_key_is_gone(self, owner_client, message, sender):
        DkimKey.objects.filter(domain=sender.domain).delete()
        domain = type(sender.domain).objects.create(account=sender.account, name="keyless.test")
        type(sender).objects.filter(pk=sender.pk).update(domain=domain)

        page = owner_client.get(url("message", message))

        assert "cannot be shown any more" in page.content.decode()
        assert owner_client.get(url("message-html", message)).status_code == 404
        assert owner_client.get(url("message-source", message)).status_code == 404

    def test_number_of_queries(self, owner_client, message, sender, django_assert_max_num_queries):
        for attempt in range(3):
            EventFactory(sender=sender, message_id=message.pk, attempt=attempt)

        shaping.current(timezone.now())  # read every half minute

        with django_assert_max_num_queries(12):
            owner_client.get(url("message", message))


class TestMail:
    def test_frame_may_neither_run_nor_send(self, owner_client, content):
        content.html = "<script>alert(1)</script><p>Dear {UserName}</p>"
        content.save()
        message = MessageFactory(content=content, variables={"UserName": "<b>"})

        frame = owner_client.get(url("message-html", message))

        policy = frame["Content-Security-Policy"].split("; ")
        assert policy[:2] == ["sandbox", "default-src 'none'"]
        assert not [rule for rule in policy if rule.startswith("script-src")]
        assert "Dear &lt;b&gt;" in frame.content.decode()

    def test_frame_on_the_page_is_sandboxed(self, owner_client, message):
        text = owner_client.get(url("message", message)).content.decode()

        assert f'sandbox src="{url("message-html", message)}"' in text

    def test_source_is_a_file(self, owner_client, message):
        answer = owner_client.get(url("message-source", message))

        assert answer["Content-Disposition"] == f'attachment; filename="message-{message.pk}.eml"'
        assert b"\r\nSubject: Hello Anna\r\n" in answer.content

    @pytest.mark.parametrize(
        ("kind", "body", "text", "html"),
        [
            (b"text/plain; charset=gb18030", "你好".encode("gb18030"), "你好", ""),
            (b"text/plain; charset=no-such", b"caf\xe9", "café", ""),
            (b"text/html; charset=utf-8", b"<p>x</p>", "", "<p>x</p>"),
            (b"multipart/mixed; boundary=b", b"no parts at all", "", ""),
            (b"application/pdf", b"x", "", ""),
            (b"message/rfc822", b"Subject: y\r\n\r\nz", "", ""),
        ],
    )
    def test_submitted_mails_are_read_whatever_they_are(self, owner_client, sender, kind, body, text, html):
        message = MessageFactory(content=submitted(sender, MIME % (kind, body)))

        mail = owner_client.get(url("message", message)).context["mail"]

        assert (mail.subject, mail.text, mail.html) == ("你好", ended(text), ended(html))
        assert owner_client.get(url("message-html", message)).content.decode() == ended(html)


def ended(text):
    """Return the text as it is sent: its last line ends, too."""
    return text and f"{text}\r\n"


class TestWait:
    @pytest.fixture
    def routed(self, now):
        Destination.objects.create(domain="readers.test", site="mx.test", expires_at=now + timedelta(hours=1))
        return Lane.objects.create(stream=Stream.BATCH, site="mx.test")

    def test_ended_waits_for_nothing(self, message, now):
        message.status = Status.DELIVERED

        assert reports.wait_of(message, now=now) is None

    def test_batch_is_paused(self, message, now):
        message.batch.status = Batch.Status.PAUSED

        assert reports.wait_of(message, now=now) == reports.Wait("Its batch is paused.")

    def test_destination_is_looked_up(self, message, now):
        assert "looked up" in reports.wait_of(message, now=now).reason

    def test_its_turn_comes(self, message, routed, now):
        assert reports.wait_of(message, now=now).reason.startswith("It is in the queue")

    def test_next_try(self, message, routed, now):
        message.status, message.next_attempt_at = Status.DEFERRED, now + timedelta(minutes=5)

        wait = reports.wait_of(message, now=now)

        assert "tried again" in wait.reason
        assert wait.until == message.next_attempt_at

    @pytest.mark.parametrize(
        ("words", "said"),
        [("421 4.7.0 too many from <other@strangers.test>", "send more slowly"), ("Connection refused", "be reached")],
    )
    def test_lane_is_suspended_without_the_words_of_others_mail(self, owner_client, message, routed, words, said):
        until = timezone.now() + timedelta(minutes=1)
        Lane.objects.filter(site="mx.test").update(suspended_until=until, reason=words)
        Destination.objects.update(expires_at=until)

        page = owner_client.get(url("message", message))

        assert page.context["wait"].until == until
        assert said in page.context["wait"].reason
        assert "strangers.test" not in page.content.decode()

    def test_look_up_is_held_up(self, message, now):
        Lane.objects.create(stream=Stream.BATCH, site=UNROUTED, suspended_until=now + timedelta(minutes=1))

        assert "look-up" in reports.wait_of(message, now=now).reason


def test_tag_is_shown(owner_client, content):
    content.tag = TagFactory(account=content.account, name="spring")
    content.save()

    assert "spring" in owner_client.get(url("message", MessageFactory(content=content))).content.decode()
