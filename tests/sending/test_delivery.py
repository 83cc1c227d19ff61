"""From a list to mail servers and back to rows, over real DNS and SMTP on loopback."""

import email
import email.policy
from datetime import timedelta

import dkim
import pytest
from django.utils import timezone

from accounts.models import QuotaUse
from domains.models import DkimKey
from recipients.models import Suppression
from sending import expansion, ledger, return_path
from sending.delivery import claims, hands, waking
from sending.delivery.hands import Hand
from sending.models import Batch, Chunk, Content, Event, Lane, Message, Status
from sending.services import messages
from tests.factories import SuppressionFactory
from tests.sending.conftest import statuses

pytestmark = pytest.mark.django_db

LATER = timedelta(days=1)


def test_batch_is_delivered_personalised_and_signed(internet, start_batch, deliver, sender):
    batch = start_batch("ann@north.example", "bob@south.example")

    deliver()

    batch.refresh_from_db()
    assert statuses(batch) == {"ann@north.example": "delivered", "bob@south.example": "delivered"}
    assert (batch.status, batch.total, batch.delivered) == (Batch.Status.DONE, 2, 2)
    mail = next(mail for mail in internet.mails if mail.rcpt_to == "ann@north.example")
    parsed = email.message_from_bytes(mail.raw, policy=email.policy.default)
    assert parsed["Subject"] == "Hello ann"
    assert parsed["From"].addresses[0].display_name == "张三 Shop"
    assert parsed["From"].addresses[0].addr_spec == sender.address
    assert parsed.get_body(("plain",)).get_content().strip() == "Dear ann"
    assert parsed.get_body(("html",)).get_content().strip() == "<p>Dear ann &amp; all</p>"
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.is_encrypted
    record = DkimKey.objects.get(domain=sender.domain).public_record.encode()
    assert dkim.verify(mail.raw, dnsfunc=lambda name, timeout=5: record)


def test_random_address_names_the_message(internet, start_batch, deliver, sender):
    batch = start_batch("ann@north.example")

    deliver()

    (mail,) = internet.mails
    local_part, _, domain = mail.mail_from.partition("@")
    assert domain == sender.domain.name
    assert len(local_part) <= 64
    message = Message.objects.get(batch=batch)
    assert return_path.message_of(mail.mail_from.upper(), now=timezone.now()) == message.pk


def test_sender_address_type_shows_the_sender_in_the_envelope(internet, start_batch, deliver, sender):
    start_batch("ann@north.example", address_type="sender")

    deliver()

    assert [mail.mail_from for mail in internet.mails] == [sender.address]


def test_unknown_mailbox_bounces_and_is_suppressed(internet, start_batch, deliver, sender):
    batch = start_batch("bounce-1@north.example", "spam@north.example")

    deliver()

    assert statuses(batch) == {"bounce-1@north.example": "bounced", "spam@north.example": "bounced"}
    assert list(Message.objects.filter(batch=batch, invalid=True).values_list("recipient", flat=True)) == [
        "bounce-1@north.example"
    ]
    suppression = Suppression.objects.get()
    assert (suppression.account, suppression.address) == (sender.account, "bounce-1@north.example")
    assert suppression.evidence.startswith("550 5.1.1")


def test_suppressed_recipient_is_never_tried(internet, start_batch, deliver, sender):
    Suppression.objects.create(account=sender.account, address="gone@north.example", reason="bounced")

    batch = start_batch("Gone@north.example", "ann@north.example")
    deliver()

    batch.refresh_from_db()
    assert statuses(batch) == {"Gone@north.example": "suppressed", "ann@north.example": "delivered"}
    assert (batch.suppressed, batch.delivered, batch.status) == (1, 1, Batch.Status.DONE)
    assert [mail.rcpt_to for mail in internet.mails] == ["ann@north.example"]


@pytest.mark.parametrize("scope", ["account", "domain", "sender"])
def test_who_is_suppressed_while_mail_waits_gets_none(internet, start_batch, deliver, sender, scope):
    batch = start_batch("ann@north.example", "Bob@north.example")
    accepted_at = timezone.now() - timedelta(minutes=2)
    Message.objects.filter(batch=batch).update(created_at=accepted_at)
    scope_value = {"account": "", "domain": sender.domain.name, "sender": sender.address}[scope]
    SuppressionFactory(account=sender.account, address="bob@north.example", scope=scope, scope_value=scope_value)
    SuppressionFactory(account=sender.account, address="ann@north.example", scope="sender", scope_value="x@y.example")

    deliver()

    assert statuses(batch) == {"ann@north.example": "delivered", "Bob@north.example": "suppressed"}
    assert [mail.rcpt_to for mail in internet.mails] == ["ann@north.example"]
    batch.refresh_from_db()
    assert (batch.delivered, batch.suppressed, batch.status) == (1, 1, Batch.Status.DONE)
    assert used(batch) == (1, 1)


def used(batch):
    return QuotaUse.objects.values_list("day_used", "month_used").get(account=batch.account)


def test_greylisted_mail_is_tried_again_with_the_same_message_id(internet, start_batch, deliver):
    batch = start_batch("defer-1@north.example")

    deliver()
    message = Message.objects.get(batch=batch)
    assert (message.status, message.attempts) == (Status.DEFERRED, 1)
    assert message.next_attempt_at > timezone.now()
    assert message.last_reply.startswith("451 4.7.1")
    internet.seconds_later = 30
    deliver(later=LATER)

    message.refresh_from_db()
    assert (message.status, message.attempts) == (Status.DELIVERED, 2)
    assert [event.status for event in Event.objects.filter(message_id=message.pk).order_by("pk")] == [
        "deferred",
        "delivered",
    ]
    batch.refresh_from_db()
    assert (batch.deferred, batch.delivered, batch.status) == (0, 1, Batch.Status.DONE)


def test_message_is_given_up_after_its_span(internet, start_batch, deliver):
    batch = start_batch("full@north.example")
    Message.objects.update(created_at=timezone.now() - timedelta(hours=49))

    deliver()

    assert statuses(batch) == {"full@north.example": "failed"}
    assert Message.objects.get().last_reply == "452 4.2.2 The mailbox is full"


def test_unknown_domain_bounces_and_silent_dns_does_not(internet, start_batch, deliver):
    batch = start_batch("ann@nxdomain.example", "bob@servfail.example", "cat@nullmx.example")

    deliver()

    assert statuses(batch) == {
        "ann@nxdomain.example": "bounced",
        "bob@servfail.example": "deferred",
        "cat@nullmx.example": "bounced",
    }
    assert not Suppression.objects.exists()


def test_retries_that_are_due_together_share_a_chunk(internet, start_batch, deliver):
    start_batch(*(f"reader-{n}@servfail.example" for n in range(20)))

    deliver()

    assert Message.objects.filter(status=Status.DEFERRED).count() == 20
    assert Chunk.objects.count() <= 2  # their waits are spread over a minute, maybe of two minutes of the clock
    chunks = {pk: chunk.due_at for chunk in Chunk.objects.all() for pk in chunk.messages}
    assert dict(Message.objects.values_list("pk", "next_attempt_at")) == chunks


def test_silent_name_server_holds_up_nobody_elses_mail(internet, start_batch, deliver):
    batch = start_batch("ann@silent.example", "bob@north.example")

    deliver()
    assert statuses(batch) == {"ann@silent.example": "queued", "bob@north.example": "delivered"}
    # Asked for again, each time for a moment, until the look-up that goes on meanwhile has failed.
    for _ in range(30):
        deliver(later=LATER)
        if statuses(batch)["ann@silent.example"] != "queued":
            break

    assert statuses(batch)["ann@silent.example"] == "deferred"
    message = Message.objects.get(recipient="ann@silent.example")
    assert (message.attempts, message.last_reply[:5]) == (1, "4.4.3")


def test_content_that_cannot_be_composed_holds_up_no_other(internet, start_batch, deliver, sender):
    whole, broken = start_batch("ann@north.example"), start_batch("bob@north.example")
    Content.objects.filter(pk=broken.content_id).update(
        kind="mime", mime_file="is-gone.eml", subject="", html="", text=""
    )

    deliver()

    assert statuses(whole) == {"ann@north.example": "delivered"}
    assert statuses(broken) == {"bob@north.example": "deferred"}
    assert "could not be composed" in Message.objects.get(batch=broken).last_reply


def test_connection_dropped_after_data_is_tried_again(internet, start_batch, deliver):
    batch = start_batch("drop@north.example")

    deliver()
    assert statuses(batch) == {"drop@north.example": "deferred"}
    internet.seconds_later = 1
    deliver(later=LATER)

    assert statuses(batch) == {"drop@north.example": "delivered"}


def test_unreachable_destination_suspends_its_lane_only(internet, start_batch, deliver, settings):
    internet.world.publish("dead.example", "MX", "10 mx.dead.example.")
    internet.world.publish("mx.dead.example", "A", "127.0.0.2")  # nobody listens there

    batch = start_batch("ann@dead.example", "bob@dead.example", "cat@north.example")
    deliver()

    assert statuses(batch) == {
        "ann@dead.example": "deferred",
        "bob@dead.example": "deferred",
        "cat@north.example": "delivered",
    }
    lane = Lane.objects.get(site="dead.example")
    assert lane.suspended_until > timezone.now()
    assert "127.0.0.2" in lane.reason


def test_paused_batch_waits_and_goes_on(internet, start_batch, deliver):
    batch = start_batch("ann@north.example")
    Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.PAUSED)

    deliver()
    assert statuses(batch) == {"ann@north.example": "queued"}
    Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.SENDING)
    deliver()

    assert statuses(batch) == {"ann@north.example": "delivered"}


def test_canceled_batch_sends_nothing_more(internet, start_batch, deliver):
    batch = start_batch("ann@north.example", "bob@north.example")
    Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.CANCELED)

    expansion.withdraw(batch.pk, now=timezone.now())
    deliver()

    batch.refresh_from_db()
    assert statuses(batch) == {"ann@north.example": "canceled", "bob@north.example": "canceled"}
    assert (batch.canceled, batch.total) == (2, 2)
    assert internet.mails == []
    assert used(batch) == (0, 0)


def test_what_was_tried_before_the_batch_was_canceled_stays_spent(start_batch, deliver, internet):
    batch = start_batch("defer-1@north.example", "ann@north.example")
    deliver()
    Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.CANCELED)

    expansion.withdraw(batch.pk, now=timezone.now())

    assert statuses(batch) == {"defer-1@north.example": "canceled", "ann@north.example": "delivered"}
    assert used(batch) == (2, 2)


def test_nothing_of_a_canceled_batch_is_handed_out(internet, start_batch, deliver):
    batch = start_batch("ann@north.example")
    Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.CANCELED)

    deliver()

    assert statuses(batch) == {"ann@north.example": "queued"}  # until it is withdrawn
    assert internet.mails == []


def test_retry_of_a_canceled_batch_is_canceled(start_batch):
    batch = start_batch("defer@north.example")
    now = timezone.now()
    (claim,) = hands.write(Hand("batch", now, rooms={"": 1})).taken
    Batch.objects.filter(pk=batch.pk).update(status=Batch.Status.CANCELED)
    deferred = ledger.Outcome(claim.messages[0], Status.DEFERRED, now, next_attempt_at=now + timedelta(minutes=5))

    hands.write(Hand("batch", now, outcomes={"": [deferred]}, wanted={claim: 0}))

    batch.refresh_from_db()
    assert statuses(batch) == {"defer@north.example": "canceled"}
    assert (batch.canceled, batch.deferred) == (1, 0)
    assert not Chunk.objects.exists()


def test_crash_leaves_batch_mail_unknown_and_sends_the_rest(internet, start_batch, deliver):
    batch = start_batch("ann@north.example", "bob@north.example")
    chunk = Chunk.objects.get()
    first, rest = chunk.messages
    Chunk.objects.update(
        messages=[rest], in_flight=[first], leased_until=timezone.now() - timedelta(seconds=1), fence=1
    )

    deliver()

    batch.refresh_from_db()
    assert statuses(batch) == {"ann@north.example": "unknown", "bob@north.example": "delivered"}
    assert (batch.unknown, batch.status) == (1, Batch.Status.DONE)


def test_crash_sends_triggered_mail_again(internet, sender, deliver):
    sender.stream = "trigger"
    sender.save()
    mime = b"From: %b\r\nTo: ann@north.example\r\nSubject: Code\r\n\r\n123\r\n" % sender.address.encode()
    (message,) = messages.submit_mime(mime, sender=sender, recipients=["ann@north.example"], now=timezone.now())
    Chunk.objects.update(messages=[], in_flight=[message.pk], leased_until=timezone.now() - timedelta(seconds=1))

    deliver()

    message.refresh_from_db()
    assert message.status == Status.DELIVERED
    assert internet.mails[0].raw.endswith(b"\r\n\r\n123\r\n")


@pytest.mark.parametrize(("stream", "choice", "outcome"), [("batch", True, "delivered"), ("trigger", False, "unknown")])
def test_sender_decides_what_becomes_of_unknown_outcomes(internet, sender, deliver, stream, choice, outcome):
    sender.stream, sender.resends_unknown = stream, choice
    sender.save()
    mime = b"From: %b\r\nTo: ann@north.example\r\nSubject: Code\r\n\r\n123\r\n" % sender.address.encode()
    (message,) = messages.submit_mime(mime, sender=sender, recipients=["ann@north.example"], now=timezone.now())
    Chunk.objects.update(messages=[], in_flight=[message.pk], leased_until=timezone.now() - timedelta(seconds=1))

    deliver()

    message.refresh_from_db()
    assert message.status == outcome
    assert not Chunk.objects.exists()


def test_worker_that_lost_its_lease_cannot_move_the_chunk_on(start_batch):
    start_batch("ann@north.example")
    now = timezone.now()
    Chunk.objects.update(site="north.example")
    (slow,) = claims.take(stream="batch", rooms={"north.example": 1}, now=now, go_out=False)
    later = now + claims.LEASE + timedelta(seconds=1)
    (successor,) = claims.take(stream="batch", rooms={"north.example": 1}, now=later, go_out=False)

    assert claims.advance({slow: 1}, done=[], now=later) == {}
    progress = claims.advance({successor: 1}, done=[], now=later)

    assert progress[successor.chunk_id].in_flight == {Message.objects.get().pk}


def test_outcome_is_counted_once_and_late_bounce_corrects_it(start_batch):
    batch = start_batch("ann@north.example")
    message = Message.objects.get()
    delivered = ledger.Outcome(message.pk, Status.DELIVERED, at=timezone.now(), reply="250 ok")
    bounced = ledger.Outcome(message.pk, Status.BOUNCED, at=timezone.now(), reply="550 5.1.1", invalid=True)

    moves = [len(ledger.record([outcome])) for outcome in (delivered, delivered, bounced, bounced, delivered)]

    assert moves == [1, 0, 1, 0, 0]
    batch.refresh_from_db()
    assert (batch.delivered, batch.bounced) == (0, 1)


def test_lanes_are_woken_once_until_a_worker_has_come(start_batch):
    start_batch("ann@north.example")
    now = timezone.now()

    assert waking.due_lanes(now=now) == [("batch", "")]
    assert waking.due_lanes(now=now) == []
    assert waking.due_lanes(now=now + waking.WAKE_UP_LASTS * 2) == [("batch", "")]
    assert waking.arrived("batch", [""], now=now) == {""}
    assert waking.due_lanes(now=now) == [("batch", "")]
