"""A Postfix that accepts first and reports later: its reports find their messages, whatever the address type."""

import os
import time

import pytest
from django.utils import timezone

from recipients.models import Suppression
from sending import returns, tasks
from sending.models import AddressType, Event, Message, Returned
from tests.interop.conftest import PLATFORM
from tests.interop.programs import HOST, Postfix, must_be_root
from tests.interop.test_foreign_servers import NORTH, lines_of
from tests.mailpush.mail.smtp_kit import server_tls
from tests.sending.conftest import statuses
from tests.sending.mx_server import MxServer

pytestmark = pytest.mark.django_db(transaction=True)

# It checks no recipient at its door, so it finds out too late; nobody can reach the slow domain.
LATE = """
smtpd_reject_unlisted_recipient = no
virtual_mailbox_limit = 20001
message_size_limit = 20000
default_transport = smtp:[{host}]:{port}
transport_maps = inline:{{{{ slow.example = retry:4.4.1 mail.slow.example is away }}}}
relay_domains = slow.example
delay_warning_time = 1s
maximal_queue_lifetime = 4s
bounce_queue_lifetime = 60s
minimal_backoff_time = 1s
maximal_backoff_time = 1s
queue_run_delay = 1s
smtp_host_lookup = native
smtp_dns_support_level = disabled
"""
PATIENCE = 60.0  # seconds
NOBODY = 65534  # as whom Postfix writes mailboxes here


@pytest.fixture
def mx(monkeypatch):
    monkeypatch.setattr(tasks.read_returned, "delay", lambda: None)
    with MxServer() as mx:
        yield mx


@pytest.fixture
def postfix(folder, nsd, mx, tmp_path):
    must_be_root("Postfix needs root to start.")
    server_tls(tmp_path)
    (folder / "postfix").mkdir()
    (folder / "full").mkdir()
    extra = LATE.format(host=HOST, port=mx.port)
    pem = (tmp_path / "mx.test.pem").read_bytes()
    postfix = Postfix(folder / "postfix", mailboxes=("ann@north.example", "full@north.example"), pem=pem, extra=extra)
    # A mailbox file that is as large as it may be.
    table = folder / "postfix" / "mailboxes"
    table.write_text(table.read_text().replace("full@north.example/", "full.mbox"))
    mailbox = folder / "postfix" / "boxes" / "full.mbox"
    mailbox.write_bytes(b"From x\n" + b"x" * 19990)
    os.chown(mailbox, NOBODY, NOBODY)
    with postfix:
        yield postfix


def read_until(condition):
    end = time.monotonic() + PATIENCE
    while not condition() and time.monotonic() < end:
        returns.read_new(now=timezone.now())
        time.sleep(0.2)


def kinds_of(batch, recipient):
    message = Message.objects.get(batch=batch, recipient=recipient)
    rows = Returned.objects.filter(message_id=message.pk).exclude(read_at=None).order_by("pk")
    return [(row.kind, row.failure) for row in rows]


def test_late_reports_of_postfix_find_their_messages(nsd, postfix, receive, sender, start_batch, deliver):
    nsd.publish(*PLATFORM, *NORTH, "slow MX 10 mx.north", *lines_of(sender.domain))
    receive(postfix)
    recipients = ("ann@north.example", "gone@north.example", "full@north.example", "late@slow.example")

    batches = {kind: start_batch(*recipients, address_type=kind) for kind in (AddressType.RANDOM, AddressType.SENDER)}
    deliver()
    assert all(set(statuses(batch).values()) == {"delivered"} for batch in batches.values())
    postfix.wait_for_mail("ann@north.example")
    read_until(lambda: Message.objects.filter(status="bounced").count() == 6)

    for batch in batches.values():
        assert statuses(batch) == {
            "ann@north.example": "delivered",
            "gone@north.example": "bounced",
            "full@north.example": "bounced",
            "late@slow.example": "bounced",
        }
        assert kinds_of(batch, "gone@north.example") == [("bounce", "no_mailbox")]
        assert kinds_of(batch, "full@north.example") == [("bounce", "mailbox_full")]
        assert kinds_of(batch, "late@slow.example") == [("delay", "infrastructure"), ("bounce", "infrastructure")]
        batch.refresh_from_db()
        assert (batch.delivered, batch.bounced) == (1, 3)
    assert not Returned.objects.filter(message_id=None).exists()
    assert Event.objects.filter(was="delivered", status="bounced").count() == 6
    assert list(Suppression.objects.values_list("address", flat=True)) == ["gone@north.example"]
    came_to = Returned.objects.values_list("mailbox", "message_id").distinct()
    assert {mailbox for mailbox, _ in came_to} == {Returned.Mailbox.RETURN_PATH, Returned.Mailbox.SENDER}
