"""The mx door over real SMTP: who gets in, who is told why not, and what is kept."""

import smtplib
import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError
from django.utils import timezone

from domains.models import Domain
from mailpush.lib import tokens
from sending import return_path, tasks
from sending.models import Returned
from sending.smtp import mx
from tests.factories import DomainFactory, MessageFactory, SenderFactory
from tests.sending.mx_server import MxServer
from tests.sending.returning import about

pytestmark = pytest.mark.django_db(transaction=True)

STRANGER = "anna@readers.example"
Mailbox = Returned.Mailbox


@pytest.fixture
def woken(monkeypatch):
    """Wake-ups of the reader; there is no broker."""
    woken = []
    monkeypatch.setattr(tasks.read_returned, "delay", lambda: woken.append(1))
    return woken


@pytest.fixture
def server(woken):
    with MxServer() as server:
        yield server


@pytest.fixture
def smtp(server):
    with smtplib.SMTP("127.0.0.1", server.port, local_hostname="mx.readers.example", timeout=20) as smtp:
        smtp.ehlo()
        yield smtp


@pytest.fixture
def message():
    return MessageFactory(recipient=STRANGER)


def asked(smtp, rcpt_to, *, mail_from=""):
    """Return the answer to RCPT."""
    smtp.rset()
    smtp.mail(mail_from)
    code, text = smtp.rcpt(rcpt_to)
    return code, text.decode()


def return_address(message, *, days_ago=0):
    token = return_path.trace(message.pk, now=timezone.now() - timedelta(days=days_ago))
    return return_path.envelope_sender(token, domain="news.shop.example")


def unsubscribe_address(message):
    return f"u-{tokens.make('unsubscribe', message.pk, today=timezone.now().date())}@news.shop.example"


def test_offers_what_mail_servers_expect(smtp):
    assert {"starttls", "size", "pipelining", "8bitmime", "smtputf8", "enhancedstatuscodes"} <= set(smtp.esmtp_features)
    assert "auth" not in smtp.esmtp_features


def test_report_is_kept_before_the_answer_and_read_later(smtp, message, woken):
    mail = about(message, "postfix-unknown-user")

    smtp.sendmail("", [return_address(message).upper()], mail)

    row = Returned.objects.get()
    assert (row.mailbox, row.message_id, row.mail_from, row.peer) == (Mailbox.RETURN_PATH, message.pk, "", "127.0.0.1")
    assert (bytes(row.mime), row.read_at, row.kind) == (mail, None, "")
    assert woken == [1]


def test_works_the_same_under_tls(smtp, message):
    smtp.starttls()

    smtp.sendmail("", [return_address(message)], about(message, "qmail"))

    assert Returned.objects.get().message_id == message.pk


@pytest.mark.parametrize("mail_from", ["", "mailer-daemon@mx.readers.example", STRANGER])
def test_random_address_takes_mail_of_anybody(smtp, message, mail_from):
    assert asked(smtp, return_address(message), mail_from=mail_from)[0] == 250


def test_forged_and_old_random_addresses_are_refused(smtp, message):
    address = return_address(message)
    forged = address[:10] + ("a" if address[10] != "a" else "b") + address[11:]

    for bad in (forged, return_address(message, days_ago=61)):
        assert asked(smtp, bad) == (550, "5.1.1 This return address is not ours, or too old")
    assert asked(smtp, return_address(message, days_ago=60))[0] == 250


def test_unsubscribe_address_takes_wishes_and_no_reports(smtp, message):
    address = unsubscribe_address(message)

    smtp.sendmail(STRANGER, [address], b"Subject: unsubscribe\r\n\r\n")

    assert (Returned.objects.get().mailbox, Returned.objects.get().message_id) == (Mailbox.UNSUBSCRIBE, message.pk)
    assert asked(smtp, address)[0] == 550
    assert asked(smtp, address[:-20] + "x@x.example", mail_from=STRANGER)[0] == 550


def test_sender_address_takes_bounces_only(smtp):
    sender = SenderFactory()

    assert asked(smtp, sender.address.upper())[0] == 250
    assert asked(smtp, sender.address, mail_from="MAILER-DAEMON@readers.example")[0] == 250
    code, text = asked(smtp, sender.address, mail_from=STRANGER)
    assert (code, text) == (550, f"5.7.1 {sender.address} only sends: nobody reads what is written to it")


def test_writer_is_told_where_to_write_instead(smtp):
    sender = SenderFactory(reply_to="help@readers.example", reply_to_verified_at=timezone.now())
    SenderFactory(reply_to="other@readers.example", forwards_replies=True, address="unproved@x.example")

    assert asked(smtp, sender.address, mail_from=STRANGER) == (
        550,
        f"5.7.1 {sender.address} only sends. Write to help@readers.example instead",
    )
    assert asked(smtp, "unproved@x.example", mail_from=STRANGER)[0] == 550


def test_replies_are_taken_where_they_are_sent_on(smtp):
    sender = SenderFactory(reply_to="help@readers.example", reply_to_verified_at=timezone.now(), forwards_replies=True)

    smtp.sendmail(STRANGER, [sender.address], b"Subject: Hm\r\n\r\nYes?\r\n")

    row = Returned.objects.get()
    assert (row.mailbox, row.account_id) == (Mailbox.REPLY, sender.account_id)


@pytest.mark.parametrize("role", ["postmaster", "abuse", "Abuse+x", "fbl"])
def test_roles_of_proved_domains_are_taken(smtp, role, settings):
    proved = DomainFactory(name="proved.example")
    suspended = DomainFactory(name="suspended.example", status=Domain.Status.SUSPENDED)
    DomainFactory(name="unproved.example", status=Domain.Status.UNVERIFIED)
    DomainFactory(name="deleted.example", deleted_at=timezone.now())

    for domain in (proved, suspended):
        smtp.sendmail(STRANGER, [f"{role}@{domain.name}"], b"Subject: Hm\r\n\r\n")
    answers = [asked(smtp, f"{role}@{name}", mail_from=STRANGER)[0] for name in ("unproved.example", "deleted.example")]

    assert answers == [550, 550]
    mailbox = Mailbox.COMPLAINTS if role == "fbl" else Mailbox.POST_OFFICE
    assert list(Returned.objects.order_by("pk").values_list("mailbox", "account")) == [
        (mailbox, proved.account_id),
        (mailbox, suspended.account_id),
    ]


def test_platforms_own_postmaster_is_always_there(smtp, settings):
    for address in ("postmaster", f"Postmaster@{settings.MAILPUSH_MAIL_HOST}", f"abuse@{settings.PUBLIC_HOST}"):
        assert asked(smtp, address, mail_from=STRANGER)[0] == 250


def test_everything_else_is_refused_and_nothing_relayed(smtp, message):
    SenderFactory(address="news@shop.example", domain__name="shop.example")

    for address in ("nobody@shop.example", "anna@gmail.example", "newsx@shop.example", "u-x@shop.example"):
        code, text = asked(smtp, address, mail_from=STRANGER)
        assert (code, text[:5]) == (550, "5.1.1")
    smtp.rset()
    smtp.mail("")
    smtp.rcpt("nobody@shop.example")
    assert smtp.docmd("DATA")[0] == 554
    assert not Returned.objects.exists()


def test_one_mail_to_two_addresses_is_kept_for_both(smtp, message):
    other = MessageFactory()

    smtp.sendmail("", [return_address(message), return_address(other)], about(message, "qmail"))

    assert set(Returned.objects.values_list("message_id", flat=True)) == {message.pk, other.pk}


def test_who_tries_addresses_out_is_sent_away(server, smtp):
    unknown = [f"user{number}@shop.example" for number in range(mx.UNKNOWN_A_SESSION + 1)]

    codes = [asked(smtp, address, mail_from=STRANGER)[0] for address in unknown]

    assert codes == [550] * mx.UNKNOWN_A_SESSION + [421]
    with pytest.raises(smtplib.SMTPServerDisconnected):
        smtp.rset()


def test_who_comes_back_to_try_more_is_not_let_in(server, smtp):
    for _ in range(mx.UNKNOWN_A_PEER):
        server.door._unknown.add("127.0.0.1")

    with pytest.raises(smtplib.SMTPConnectError) as refused:
        smtplib.SMTP("127.0.0.1", server.port, timeout=20)
    assert refused.value.smtp_code == 421


def test_one_message_gets_so_many_reports_a_day(smtp, message):
    other = MessageFactory()
    codes = [asked(smtp, return_address(message))[0] for _ in range(mx.REPORTS_A_MESSAGE + 1)]

    assert codes == [250] * mx.REPORTS_A_MESSAGE + [450]
    assert asked(smtp, return_address(other))[0] == 250


def test_too_big_a_mail_is_refused(smtp, message):
    with pytest.raises(smtplib.SMTPResponseException) as refused:
        smtp.sendmail("", [return_address(message)], b"Subject: x\r\n\r\n" + b"x" * 78 * 3000)

    assert refused.value.smtp_code == 552
    assert not Returned.objects.exists()


def test_sick_database_is_no_answer_for_good(smtp, message, monkeypatch):
    def fail(rows):
        raise DatabaseError("disk full")

    monkeypatch.setattr(Returned.objects, "bulk_create", fail)
    with pytest.raises(smtplib.SMTPDataError) as refused:
        smtp.sendmail("", [return_address(message)], about(message, "qmail"))
    assert refused.value.smtp_code == 451


def test_many_at_once_are_all_kept(server, message, woken):
    """Group commit: fewer transactions than mails, and every mail in one."""
    messages = [message, *MessageFactory.create_batch(39)]

    def send(about_it):
        with smtplib.SMTP("127.0.0.1", server.port, timeout=30) as smtp:
            for _ in range(3):
                smtp.sendmail("", [return_address(about_it)], about(about_it, "postfix-unknown-user"))

    threads = [threading.Thread(target=send, args=(each,)) for each in messages]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert Returned.objects.count() == 120
    assert Returned.objects.values("message_id").distinct().count() == 40
    assert 1 <= len(woken) <= 120
