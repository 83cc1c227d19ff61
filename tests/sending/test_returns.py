"""What returned mail does to messages, suppressions and counts."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailpush.lib import tokens
from mailpush.mail import returned as reading
from recipients.models import Suppression
from senders.models import Sender
from sending import ledger, returns
from sending.models import Batch, Event, Feedback, Message, Returned, Status
from sending.models.returned import Returned as Row
from tests.factories import BatchFactory, MessageFactory, SenderFactory
from tests.sending.returning import about, came, token_of

pytestmark = pytest.mark.django_db

Kind, Mailbox = Row.Kind, Row.Mailbox


@pytest.fixture
def batch():
    return BatchFactory(total=2, delivered=2, status=Batch.Status.DONE)


@pytest.fixture
def message(batch):
    """Delivered, as far as we know."""
    return MessageFactory(batch=batch, recipient="Anna@readers.example", status=Status.DELIVERED, attempts=1)


def read():
    return returns.read_new(now=timezone.now())


def suppressed():
    return list(Suppression.objects.values_list("account", "address", "reason"))


# ── Bounces ──


def test_late_bounce_corrects_message_batch_and_counts(message, batch):
    row = came(message, "postfix-unknown-user")

    assert read() == 1

    message.refresh_from_db()
    batch.refresh_from_db()
    row.refresh_from_db()
    assert (message.status, message.invalid, message.attempts) == (Status.BOUNCED, True, 1)
    assert message.last_reply.startswith("550 5.1.1")
    assert (batch.delivered, batch.bounced, batch.status) == (1, 1, Batch.Status.DONE)
    event = Event.objects.get()
    assert (event.was, event.status, event.day, event.failure, event.invalid, event.attempt) == (
        "delivered",
        "bounced",
        message.day,
        "no_mailbox",
        True,
        None,
    )
    assert suppressed() == [(message.account_id, "anna@readers.example", "bounced")]
    assert Suppression.objects.get().message_id == message.pk
    assert (row.kind, row.failure, row.has_effect, row.account_id) == (
        Kind.BOUNCE,
        "no_mailbox",
        True,
        message.account_id,
    )


def test_same_bounce_twice_or_read_again_changes_nothing(message, batch):
    rows = [came(message, "postfix-unknown-user") for _ in range(3)]

    assert read() == 3
    came(message, "qmail")
    read()
    Returned.objects.update(read_at=None)
    assert read() == 4

    batch.refresh_from_db()
    assert (batch.delivered, batch.bounced) == (1, 1)
    assert Event.objects.count() == 1
    assert len(suppressed()) == 1
    assert not any(Returned.objects.filter(pk=row.pk, read_at=None).exists() for row in rows)


@pytest.mark.parametrize("name", ["postfix-mailbox-full", "gmail-dmarc", "qq-frequency", "netease-spam", "forwarded"])
def test_bounce_that_does_not_condemn_the_mailbox_suppresses_nobody(message, name):
    came(message, name)

    read()

    message.refresh_from_db()
    assert (message.status, message.invalid) == (Status.BOUNCED, False)
    assert not suppressed()


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("postfix-delayed", Kind.DELAY),
        ("postfix-success", Kind.NOTICE),
        ("vacation-gmail", Kind.AUTO_REPLY),
        ("read-receipt", Kind.AUTO_REPLY),
        ("arf-not-spam", Kind.NOTICE),
        ("person", Kind.OTHER),
    ],
)
def test_what_is_no_bounce_leaves_the_message_alone(message, name, kind):
    row = came(message, name)

    read()

    message.refresh_from_db()
    row.refresh_from_db()
    assert (row.kind, row.has_effect, row.account_id) == (kind, False, message.account_id)
    assert message.status == Status.DELIVERED
    assert not suppressed()
    assert not Event.objects.exists()


@pytest.mark.parametrize("name", ["postfix-unknown-user", "exchange-redacted", "qmail", "netease-unknown", "ses-relay"])
def test_bounce_to_the_sender_address_finds_its_message(message, name):
    """By envelope id, Message-ID or trace, whatever the server has left in."""
    row = came(message, name, mailbox=Mailbox.SENDER, account_id=message.account_id)

    read()

    message.refresh_from_db()
    row.refresh_from_db()
    assert (row.message_id, message.status) == (message.pk, Status.BOUNCED)


@pytest.mark.parametrize("change", ["forged", "expired", "purpose"])
def test_bounce_to_the_sender_address_needs_our_signature(message, change, settings):
    mail = about(message, "postfix-unknown-user")
    token = token_of(message)
    bad = {
        "forged": ("b" if token[0] == "a" else "a") + token[1:],
        "expired": tokens.make("bounce", message.pk, today=timezone.now().date() - timedelta(days=61)),
        "purpose": tokens.make("other", message.pk, today=timezone.now().date()),
    }[change]
    Returned.objects.create(mailbox=Mailbox.SENDER, mime=mail.replace(token.encode(), bad.encode()), rcpt_to="a@b.c")

    read()

    message.refresh_from_db()
    row = Returned.objects.get()
    assert (row.kind, row.message_id, row.has_effect) == (Kind.BOUNCE, None, False)
    assert message.status == Status.DELIVERED


def test_tokens_of_an_old_key_are_read_while_it_is_kept(message, settings):
    row = came(message, "exchange-redacted", mailbox=Mailbox.SENDER)
    old = settings.MAILPUSH_ENCRYPTION_KEYS
    settings.MAILPUSH_ENCRYPTION_KEYS = ["cmVhbGx5LW5ldy1rZXktb2YtdGhpcnR5LXR3by1ieXRlcw==", *old]
    tokens._keys.cache_clear()
    try:
        read()
    finally:
        tokens._keys.cache_clear()

    row.refresh_from_db()
    assert row.message_id == message.pk


def test_bounces_of_two_accounts_touch_their_own_rows_alone(message):
    other = MessageFactory(recipient="anna@readers.example", status=Status.DELIVERED)
    came(other, "postfix-unknown-user")

    read()

    message.refresh_from_db()
    assert message.status == Status.DELIVERED
    assert suppressed() == [(other.account_id, "anna@readers.example", "bounced")]


def test_message_that_is_gone_is_no_trouble(message):
    row = came(message, "postfix-unknown-user")
    message.delete()

    assert read() == 1

    row.refresh_from_db()
    assert (row.message_id, row.kind, row.has_effect) == (None, Kind.BOUNCE, False)


def test_mail_that_cannot_be_read_holds_up_nobody(message, monkeypatch):
    broken, fine = came(None, "person"), came(message, "postfix-unknown-user")
    real = reading.read

    def read_or_fail(content):
        if b"Norway" in content:
            raise RuntimeError("a bug")
        return real(content)

    monkeypatch.setattr(reading, "read", read_or_fail)
    assert read() == 2

    broken.refresh_from_db()
    fine.refresh_from_db()
    assert (broken.kind, broken.words, fine.has_effect) == (Kind.OTHER, returns.UNREADABLE, True)


@pytest.mark.parametrize("name", ["kind_for", "verdict"])
def test_bounce_that_cannot_be_weighed_holds_up_nobody(message, batch, monkeypatch, name):
    other = MessageFactory(batch=batch, recipient="odd@readers.example", status=Status.DELIVERED, attempts=1)
    broken, fine = came(other, "postfix-unknown-user"), came(message, "postfix-unknown-user")
    real = getattr(reading.Reading, name)

    def answer_or_fail(found, recipient):
        if recipient == other.recipient:
            raise RuntimeError("a bug")
        return real(found, recipient)

    monkeypatch.setattr(reading.Reading, name, answer_or_fail)
    assert read() == 2

    broken.refresh_from_db()
    fine.refresh_from_db()
    assert (broken.kind, broken.words, broken.failure) == (Kind.OTHER, returns.UNREADABLE, "")
    assert (broken.has_effect, fine.has_effect) == (False, True)


def test_bounce_of_what_waits_ends_the_waiting(batch):
    Batch.objects.update(delivered=0, status=Batch.Status.SENDING, total=1)
    message = MessageFactory(batch=batch, recipient="anna@readers.example", status=Status.QUEUED)
    ledger.record([ledger.Outcome(message.pk, Status.UNKNOWN, at=timezone.now())])
    came(message, "postfix-unknown-user")

    read()

    batch.refresh_from_db()
    assert (batch.unknown, batch.bounced, batch.status) == (0, 1, Batch.Status.DONE)


# ── Complaints and wishes ──


@pytest.mark.parametrize("name", ["arf-yahoo", "arf-redacted", "arf-headers-only", "jmrp-outlook"])
def test_complaint_suppresses_once(message, name):
    for _ in range(2):
        came(message, name, mailbox=Mailbox.COMPLAINTS, mail_from="feedback@arf.mail.example")

    read()

    assert suppressed() == [(message.account_id, "anna@readers.example", "complained")]
    assert list(Feedback.objects.values_list("message_id", "kind", "via")) == [(message.pk, "complained", "abuse")]
    message.refresh_from_db()
    assert message.status == Status.DELIVERED


@pytest.mark.parametrize(("name", "mailbox"), [("person", Mailbox.UNSUBSCRIBE), ("arf-opt-out", Mailbox.COMPLAINTS)])
def test_wish_by_mail_unsubscribes(message, name, mailbox):
    row = came(message, name, mailbox=mailbox, mail_from="anna@readers.example")

    read()

    row.refresh_from_db()
    assert (row.kind, row.has_effect) == (Kind.OPT_OUT, True)
    (suppression,) = Suppression.objects.all()
    assert (suppression.reason, suppression.scope, suppression.scope_value) == (
        "unsubscribed",
        "sender",
        message.content.sender.address,
    )


# ── Sent on to people ──


@pytest.fixture(autouse=True)
def _real_mail(settings):
    """Not the test runner's own mailbox: what is sent on leaves through the platform."""
    settings.EMAIL_BACKEND = "sending.backend.EmailBackend"


def sent_to(address):
    return Message.objects.filter(recipient=address).select_related("content")


def test_mail_for_the_postmaster_is_sent_on_to_the_owner(owner):
    row = came(
        None,
        "spam-to-postmaster",
        mailbox=Mailbox.POST_OFFICE,
        mail_from="prince@spam.example",
        rcpt_to="postmaster@news.shop.example",
        account=owner.account,
    )

    read()

    row.refresh_from_db()
    assert (row.kind, row.has_effect) == (Kind.FORWARDED, True)
    (message,) = sent_to(owner.user.email)
    mime = bytes(message.content.mime)
    assert message.account.is_platform
    assert b"Subject: [postmaster@news.shop.example] URGENT business" in mime
    assert b"Reply-To: prince@spam.example" in mime
    assert b"X-Mailpush-Forwarded: 1" in mime
    assert b"From: mailpush <no-reply@" in mime
    assert b'filename="mail.eml"' in mime


def test_reply_goes_to_the_confirmed_reply_address(account):
    sender = SenderFactory(
        account=account,
        domain__account=account,
        reply_to="help@readers.example",
        reply_to_verified_at=timezone.now(),
        forwards_replies=True,
    )
    came(
        None,
        "person",
        mailbox=Mailbox.REPLY,
        mail_from="anna@readers.example",
        rcpt_to=sender.address.upper(),
        account=account,
    )
    read()

    (message,) = sent_to("help@readers.example")
    assert b"Do you ship to Norway?" in bytes(message.content.mime)
    assert b"Reply-To: anna@readers.example" in bytes(message.content.mime)

    Sender.objects.update(reply_to_verified_at=None)  # changed since the door took it
    Returned.objects.update(read_at=None)
    read()
    assert sent_to("help@readers.example").count() == 1


@pytest.mark.parametrize(
    ("name", "mail_from"),
    [
        ("vacation-exchange", "anna@readers.example"),
        ("postfix-unknown-user", ""),
        ("spam-to-postmaster", ""),
        ("daemon-chatter", ""),
    ],
)
def test_what_no_person_wrote_is_never_sent_on(owner, name, mail_from):
    row = came(None, name, mailbox=Mailbox.POST_OFFICE, mail_from=mail_from, account=owner.account)

    read()

    row.refresh_from_db()
    assert not row.has_effect
    assert not Message.objects.exists()


def test_what_went_round_in_a_circle_is_not_sent_on_again(owner):
    fields = {"mailbox": Mailbox.POST_OFFICE, "mail_from": "prince@spam.example", "account": owner.account}
    came(None, "spam-to-postmaster", **fields)
    read()
    (message,) = sent_to(owner.user.email)

    row = Returned.objects.create(mime=message.content.mime, rcpt_to="abuse@news.shop.example", **fields)
    read()

    row.refresh_from_db()
    assert not row.has_effect
    assert Message.objects.count() == 1


def test_complaint_to_the_abuse_address_that_names_no_message_is_sent_on(owner):
    fields = {"mail_from": "feedback@arf.mail.example", "account": owner.account}
    came(None, "arf-yahoo", mailbox=Mailbox.COMPLAINTS, **fields)
    came(None, "arf-yahoo", mailbox=Mailbox.POST_OFFICE, **fields)

    read()

    assert sent_to(owner.user.email).count() == 1


# ── Keeping ──


def test_returned_mail_goes_after_ninety_days(message, now):
    old = came(message, "person", received_at=now - timedelta(days=91))
    new = came(message, "person", received_at=now - timedelta(days=89))

    assert returns.purge(now=now) == 1
    assert set(Returned.objects.values_list("pk", flat=True)) == {new.pk}
    assert old.pk != new.pk
