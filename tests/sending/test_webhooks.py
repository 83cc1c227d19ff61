"""Webhooks: from what happens to signed calls that arrive, or are seen to fail."""

import contextlib
import json
import socket
import threading
import time
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import count

import pytest
from django.core import mail
from django.db import connection, transaction
from django.utils import timezone
from standardwebhooks import Webhook as Judge
from standardwebhooks import WebhookVerificationError

from accounts import audit
from accounts.models import AuditEntry
from sending import ledger
from sending.models import Event, Feedback, Message, Status, Webhook, WebhookCall, WebhookPosition
from sending.services import webhooks
from sending.webhooks import outbound, reading, running
from tests.domains.conftest import world as name_server  # noqa: F401 - a fixture
from tests.factories import (
    EventFactory,
    MessageFactory,
    SenderFactory,
    WebhookCallFactory,
    WebhookFactory,
)
from tests.ports import free_port

pytestmark = pytest.mark.django_db
# A look counts what its own transaction has written as not settled.
COMMITTED = pytest.mark.django_db(transaction=True)
LATER = timedelta(seconds=2)


class Receiver:
    """A customer's server on loopback; it answers what `answers` says, then 204."""

    def __init__(self) -> None:
        self.calls: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[tuple[int, dict[str, str], bytes]] = []
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                receiver.calls.append(({name.lower(): value for name, value in self.headers.items()}, body))
                code, headers, content = receiver.answers.pop(0) if receiver.answers else (204, {}, b"")
                self.send_response(code)
                for name, value in {**headers, "Content-Length": str(len(content))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, *_args: object) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook?shop=1"
        threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()

    @property
    def events(self) -> list[dict]:
        return [event for _headers, body in self.calls for event in json.loads(body)["events"]]


@pytest.fixture
def receiver():
    receiver = Receiver()
    yield receiver
    receiver.server.shutdown()
    receiver.server.server_close()


@pytest.fixture
def webhook(account, receiver) -> Webhook:
    return WebhookFactory(account=account, url=receiver.url)


@pytest.fixture(autouse=True)
def _mails_stay_here(settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"


@pytest.fixture
def read_all():
    """Read what has happened, as the beat has it read: look after look, seconds apart."""
    looks = count()
    began = timezone.now() - timedelta(hours=1)

    def read(times: int = 3) -> int:
        return sum(reading.read_new(now=began + next(looks) * LATER) for _ in range(times))

    read(1)  # what happened before is told to nobody
    return read


@pytest.fixture
def dripping():
    """The address of a server whose answer comes byte by byte, all of it within three seconds."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            visitor, _ = server.accept()
            with visitor, contextlib.suppress(OSError):
                for octet in b"HTTP/1.1 204 Very Slow\r\nX: y\r\n\r\n":
                    visitor.send(bytes([octet]))
                    time.sleep(0.08)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        thread.join()


# From what happens to calls


@COMMITTED
def test_events_of_a_message_arrive_signed(webhook, receiver, account, read_all):
    message = MessageFactory(content__sender=SenderFactory(account=account, domain__account=account))
    now = timezone.now()
    ledger.record([ledger.Outcome(message.pk, Status.DEFERRED, at=now, code=451, reply="4.7.1 later", host="mx [::1]")])
    ledger.record([ledger.Outcome(message.pk, Status.DELIVERED, at=now, code=250, reply="2.0.0 Ok", host="mx [::1]")])

    assert read_all() == 1
    assert running.work() == 1

    headers, body = receiver.calls[0]
    Judge(webhook.secret).verify(body, headers)
    deferred, delivered = receiver.events
    assert (deferred["type"], deferred["data"]["code"]) == ("message.deferred", 451)
    assert delivered == {
        "id": f"ledger-{Event.objects.last().pk}",
        "type": "message.delivered",
        "at": now.isoformat(),
        "data": {
            "message": str(message.pk),
            "recipient": message.recipient,
            "sender": message.content.sender.address,
            "tag": None,
            "batch": None,
            "attempt": 2,
            "host": "mx [::1]",
            "code": 250,
            "reply": "2.0.0 Ok",
            "failure": "",
            "invalid": False,
        },
    }
    call = WebhookCall.objects.get()
    assert (call.status, call.attempts, call.tries.get().code) == ("delivered", 1, 204)
    assert headers["webhook-id"] == call.message_id
    assert read_all() == 0


@COMMITTED
def test_people_and_states_are_told_of_too(webhook, receiver, account, actor, read_all):
    message = MessageFactory(content__sender=SenderFactory(account=account, domain__account=account))
    for kind in (Feedback.Kind.COMPLAINED, Feedback.Kind.UNSUBSCRIBED):
        Feedback.note(message, kind, via="one-click", at=timezone.now())
    audit.record("domain.verified", by=actor, target="news.example.com")
    audit.record("template.rejected", by=actor, target="Welcome", content_hash="abc", reason="Too loud")
    audit.record("list.created", by=actor, target="Readers")

    read_all()
    running.work()

    told = {event["type"]: event["data"] for event in receiver.events}
    feedback = {
        "message": str(message.pk),
        "recipient": message.recipient,
        "sender": message.content.sender.address,
        "batch": None,
        "via": "one-click",
    }
    assert told == {
        "recipient.complained": feedback,
        "recipient.unsubscribed": feedback,
        "domain.verified": {"name": "news.example.com", "reason": "", "version": None},
        "template.rejected": {"name": "Welcome", "reason": "Too loud", "version": "abc"},
    }


@COMMITTED
def test_a_webhook_hears_its_own_kinds_of_its_own_account_since_it_is_there(account, stranger, now, read_all):
    of_bounces = WebhookFactory(account=account, kinds=["message.bounced"])
    too_late = WebhookFactory(account=account, created_at=timezone.now() + timedelta(days=1))
    foreign = WebhookFactory(account=stranger.account)
    sender = SenderFactory(account=account, domain__account=account)
    for status in (Status.DELIVERED, Status.BOUNCED):
        EventFactory(sender=sender, was="queued", status=status, message_id=MessageFactory(content__sender=sender).pk)

    read_all()

    assert [event["type"] for event in of_bounces.calls.get().events] == ["message.bounced"]
    assert not too_late.calls.exists()
    assert not foreign.calls.exists()


@COMMITTED
def test_events_come_some_hundred_a_call(account, monkeypatch, read_all):
    monkeypatch.setattr(reading, "EVENTS_A_CALL", 2)
    monkeypatch.setattr(reading, "ROWS", 3)
    monkeypatch.setattr("sending.webhooks.sources.ROWS", 3)
    webhook = WebhookFactory(account=account)
    sender = SenderFactory(account=account, domain__account=account)
    for _ in range(5):
        message = MessageFactory(content__sender=sender)
        EventFactory(sender=sender, was="queued", status=Status.DELIVERED, message_id=message.pk)

    read_all(5)

    told = [event["id"] for call in webhook.calls.order_by("pk") for event in call.events]
    assert [len(call.events) for call in webhook.calls.order_by("pk")] == [2, 1, 2]
    assert told == [f"ledger-{pk}" for pk in Event.objects.order_by("pk").values_list("pk", flat=True)]


@COMMITTED
def test_a_row_that_is_committed_late_is_not_passed_over(account, read_all):
    webhook = WebhookFactory(account=account)
    sender = SenderFactory(account=account, domain__account=account)
    first, second = MessageFactory(content__sender=sender), MessageFactory(content__sender=sender)
    outcome = [ledger.Outcome(pk, Status.DELIVERED, at=timezone.now()) for pk in (first.pk, second.pk)]
    drawn, go_on = threading.Event(), threading.Event()

    def slow() -> None:
        """Draw the lower id, and commit after the higher one."""
        with transaction.atomic():
            ledger.record(outcome[:1])
            drawn.set()
            go_on.wait(10)
        connection.close()

    thread = threading.Thread(target=slow)
    thread.start()
    assert drawn.wait(10)
    ledger.record(outcome[1:])
    assert read_all() == 0  # the higher one must wait for the lower one
    go_on.set()
    thread.join()

    read_all(4)

    told = [event["data"]["message"] for call in webhook.calls.order_by("pk") for event in call.events]
    assert told == [str(first.pk), str(second.pk)]


# Calls


def test_a_failed_call_is_made_again_later(webhook, receiver):
    call = WebhookCallFactory(webhook=webhook)
    receiver.answers = [(500, {}, b"out of order")]

    running.work()
    call.refresh_from_db()
    assert (call.status, call.attempts) == ("waiting", 1)
    assert timezone.now() < call.next_attempt_at < timezone.now() + timedelta(seconds=10)
    assert running.work() == 0

    WebhookCall.objects.update(next_attempt_at=timezone.now())
    running.work()

    call.refresh_from_db()
    assert (call.status, call.attempts) == ("delivered", 2)
    assert [(one.code, one.answer) for one in call.tries.order_by("pk")] == [(500, "out of order"), (204, "")]
    assert receiver.calls[0][0]["webhook-id"] == receiver.calls[1][0]["webhook-id"]


def test_after_a_day_it_is_given_up(webhook, receiver):
    call = WebhookCallFactory(webhook=webhook, attempts=len(running.WAITS))
    receiver.answers = [(500, {}, b"")]

    running.work()

    call.refresh_from_db()
    assert (call.status, call.next_attempt_at) == ("failed", None)
    assert sum(running.WAITS, timedelta()) >= timedelta(hours=23)


def test_a_call_ends_however_slowly_it_is_answered(dripping, monkeypatch):
    monkeypatch.setattr(outbound, "DEADLINE", 0.5)

    with pytest.raises(outbound.NotReachable, match=r"0\.5 seconds"):
        outbound.post(dripping, b"{}", {})


@pytest.mark.parametrize("code", [301, 302, 307])
def test_redirects_are_not_followed(webhook, receiver, code):
    call = WebhookCallFactory(webhook=webhook)
    receiver.answers = [(code, {"Location": receiver.url}, b"")]

    running.work()

    assert len(receiver.calls) == 1
    assert call.tries.get().code == code


def test_a_slow_receiver_is_not_flooded(webhook):
    for _ in range(running.CALLS_A_WEBHOOK + 3):
        WebhookCallFactory(webhook=webhook)
    other = WebhookCallFactory(webhook__account=webhook.account)
    now = timezone.now()

    first = running.claim(100, now=now)

    assert len([call for call in first if call.webhook_id == webhook.pk]) == running.CALLS_A_WEBHOOK
    assert other in first
    assert running.claim(100, now=now) == []
    assert len(running.claim(100, now=now + running.CLAIM_LASTS + LATER)) == running.CALLS_A_WEBHOOK + 1


def test_one_that_fails_for_a_day_is_paused_and_its_owner_told(
    webhook, receiver, owner, actor, django_capture_on_commit_callbacks
):
    now = timezone.now()
    webhook.failing_since = now - running.PAUSED_AFTER - LATER
    webhook.save()
    call = WebhookCallFactory(webhook=webhook)
    receiver.answers = [(503, {}, b"closed")]

    with django_capture_on_commit_callbacks(execute=True):
        running.work()

    webhook.refresh_from_db()
    assert webhook.is_paused
    assert webhook.pause_reason == "HTTP 503 closed"
    assert [message.to for message in mail.outbox] == [[owner.user.email]]
    assert webhook.url in mail.outbox[0].body
    WebhookCall.objects.update(next_attempt_at=timezone.now())
    assert running.work() == 0

    webhooks.resume(webhook, by=actor, now=timezone.now())
    running.work()

    call.refresh_from_db()
    assert call.status == "delivered"
    webhook.refresh_from_db()
    assert (webhook.is_paused, webhook.failing_since) == (False, None)


def test_a_receiver_that_is_gone_is_paused_at_once(webhook, receiver):
    WebhookCallFactory(webhook=webhook)
    receiver.answers = [(410, {}, b"")]

    running.work()

    webhook.refresh_from_db()
    assert webhook.is_paused


def test_two_secrets_sign_for_a_day(webhook, receiver, actor, now):
    old = webhook.secret
    new = webhooks.renew_secret(webhook, by=actor, now=timezone.now())
    WebhookCallFactory(webhook=webhook)

    running.work()

    headers, body = receiver.calls[0]
    Judge(old).verify(body, headers)
    Judge(new).verify(body, headers)
    webhook.refresh_from_db()
    assert webhook.secrets(timezone.now() + timedelta(hours=25)) == [new]
    assert new not in webhook.encrypted_secret
    with pytest.raises(WebhookVerificationError):
        Judge(new).verify(body + b" ", headers)


def test_a_call_can_be_sent_again(webhook, receiver, actor):
    call = WebhookCallFactory(webhook=webhook)
    running.work()
    webhooks.send_again(call, by=actor, now=timezone.now())

    running.work()

    assert [headers["webhook-id"] for headers, _body in receiver.calls] == [call.message_id] * 2
    assert call.tries.count() == 2
    assert AuditEntry.objects.filter(action="webhook.sent_again").exists()


def test_a_test_event_shows_whether_it_works(webhook, receiver, actor):
    webhooks.try_out(webhook, by=actor, now=timezone.now())

    running.work()

    assert [event["type"] for event in receiver.events] == ["webhook.test"]


def test_old_calls_are_forgotten(webhook, now):
    WebhookCallFactory(webhook=webhook, status="delivered", finished_at=now - running.KEPT - LATER)
    WebhookCallFactory(webhook=webhook, created_at=now - 2 * running.KEPT - LATER)
    kept = WebhookCallFactory(webhook=webhook, status="failed", finished_at=now)

    running.prune(now=now)

    assert list(WebhookCall.objects.all()) == [kept]


@COMMITTED
def test_positions_do_not_go_back(webhook, read_all):
    read_all()
    before = WebhookPosition.objects.get(source="ledger").read_to
    sender = SenderFactory(account=webhook.account, domain__account=webhook.account)
    EventFactory(sender=sender, was="queued", status=Status.DELIVERED, message_id=MessageFactory().pk)
    read_all()

    assert WebhookPosition.objects.get(source="ledger").read_to > before
    assert Message.objects.exists()


# Where calls go


@pytest.mark.parametrize(
    ("address", "is_called"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("127.0.0.1", False),
        ("10.1.2.3", False),
        ("172.16.0.1", False),
        ("192.168.1.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("0.0.0.0", False),
        ("224.0.0.1", False),
        ("255.255.255.255", False),
        ("::1", False),
        ("::", False),
        ("fe80::1", False),
        ("fd00::1", False),
        ("::ffff:10.0.0.1", False),
        ("64:ff9b::a00:1", False),
        ("2002:a00:1::", False),
    ],
)
def test_only_the_public_internet_is_called(settings, address, is_called):
    settings.MAILPUSH_DELIVERY = "mx"

    assert outbound.may_be_called(outbound.literal(address)) is is_called


def test_a_sandbox_calls_its_own_machine_alone():
    assert outbound.may_be_called(outbound.literal("localhost"))
    assert not outbound.may_be_called(outbound.literal("93.184.216.34"))
    assert not outbound.may_be_called(outbound.literal("10.0.0.1"))


@pytest.mark.parametrize(
    "url",
    [
        "http://shop.example.com/hook",
        "https://user:password@shop.example.com/",
        "https://shop.example.com/#a",
        "ftp://shop.example.com/",
        "https://",
        "https://shop",
        "https://shop.example.com:99999/",
        "https://127.0.0.1/",
        "https://[::ffff:169.254.169.254]/",
        "https://localhost/",
        "https://shop.example.com/a b",
        "https://shop.example.com/\r\nX: y",
        "javascript:alert(1)",
        f"https://{'ü' * 50}.example.com/".ljust(500, "x"),  # longer than that as DNS has it
    ],
)
def test_other_addresses_are_refused(settings, actor, now, url):
    settings.MAILPUSH_DELIVERY = "mx"

    with pytest.raises(webhooks.BadUrl):
        webhooks.create(url=url, kinds=["message.delivered"], by=actor, now=now)


def test_a_name_that_leads_inside_is_not_called(settings, webhook, receiver, name_server):  # noqa: F811
    settings.MAILPUSH_DELIVERY = "mx"
    name_server.zones["inside.example"] = {"A": ["127.0.0.1"]}
    webhook.url = f"http://inside.example:{receiver.server.server_port}/"
    webhook.save()
    call = WebhookCallFactory(webhook=webhook)

    running.work()

    assert receiver.calls == []
    assert "127.0.0.1" in call.tries.get().problem


def test_a_closed_port_is_said_in_words_alone(webhook):
    webhook.url = f"http://127.0.0.1:{free_port()}/"
    webhook.save()
    call = WebhookCallFactory(webhook=webhook)

    running.work()

    assert call.tries.get().problem == "Connection refused"


def test_a_name_is_looked_up_once_and_that_address_is_called(webhook, receiver, name_server):  # noqa: F811
    """What a second look-up would say (DNS rebinding) does not count: there is none."""
    name_server.zones["turning.example"] = {"A": ["127.0.0.1"]}
    webhook.url = f"http://turning.example:{receiver.server.server_port}/"
    webhook.save()
    WebhookCallFactory(webhook=webhook)

    running.work()

    assert len(receiver.calls) == 1
    assert receiver.calls[0][0]["host"] == f"turning.example:{receiver.server.server_port}"
    assert sorted(name_server.questions) == [("turning.example", "A"), ("turning.example", "AAAA")]
