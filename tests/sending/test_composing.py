"""What a mail carries so that what comes back finds its way."""

import email
import email.policy
from datetime import timedelta

import pytest
from django.utils import timezone

from mailpush.lib import tokens
from senders.models import Stream
from sending import return_path, unsubscribe
from sending.delivery.composing import ContentComposer
from sending.delivery.parcels import QueuedMessage
from sending.models import AddressType, Content
from sending.models.content import NO_LINK
from tests.factories import ContentFactory, MessageFactory

pytestmark = pytest.mark.django_db

MIME = b"From: a@b.example\r\nSubject: Hello\r\n%b\r\nText\r\n"


def composed(content, recipient="anna@readers.example"):
    message = MessageFactory(content=content, recipient=recipient)
    mail = ContentComposer(content).compose([QueuedMessage.of(message)], now=timezone.now())[0]
    return message, mail, email.message_from_bytes(mail.whole, policy=email.policy.default)


def submitted(sender, *, stream=Stream.BATCH, fields=b"", **more):
    return Content.objects.create(
        account=sender.account,
        sender=sender,
        stream=stream,
        address_type=AddressType.RANDOM,
        kind=Content.Kind.MIME,
        mime=MIME % fields,
        **more,
    )


def test_random_address_names_the_message_and_fits(sender):
    message, mail, parsed = composed(ContentFactory(sender=sender))

    local, _, domain = mail.mail_from.partition("@")
    assert domain == sender.domain.name
    assert len(local) <= 64
    assert return_path.message_of(mail.mail_from.upper(), now=timezone.now()) == message.pk
    assert parsed["From"].addresses[0].addr_spec == sender.address


def test_sender_address_is_all_that_readers_see(sender):
    message, mail, parsed = composed(ContentFactory(sender=sender, address_type=AddressType.SENDER))

    assert mail.mail_from == sender.address
    assert parsed["Sender"] is None
    for token in (mail.dsn.envid, parsed["X-Mailpush-Trace"]):
        assert return_path.message_of_tokens([token], now=timezone.now()) == message.pk
    assert return_path.message_of_message_id(parsed["Message-ID"]) == message.pk


@pytest.mark.parametrize(
    ("recipient", "orcpt"),
    [
        ("anna@readers.example", "rfc822;anna@readers.example"),
        ("a+b=c@readers.example", "rfc822;a+2Bb+3Dc@readers.example"),
        ("安娜@readers.example", ""),
    ],
)
def test_servers_are_asked_to_report_with_headers_only(sender, recipient, orcpt):
    _, mail, _ = composed(ContentFactory(sender=sender), recipient)

    assert (mail.dsn.ret, mail.dsn.orcpt, mail.dsn.notify) == ("HDRS", orcpt, "")


def test_batch_mail_offers_both_ways_to_unsubscribe_and_signs_them(sender):
    message, _, parsed = composed(ContentFactory(sender=sender))

    link, address = (part.strip(" <>") for part in str(parsed["List-Unsubscribe"]).split(","))
    assert unsubscribe.message_of(link.rpartition("/")[2]) == message.pk
    assert link.startswith("http://localhost:8000/u/")
    assert address.startswith("mailto:u-")
    assert unsubscribe.message_of_address(address.removeprefix("mailto:").partition("?")[0]) == message.pk
    assert parsed["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    signed = "".join(str(parsed["DKIM-Signature"]).split())
    assert "list-unsubscribe:" in signed
    assert "list-unsubscribe-post" in signed


def test_submitted_batch_mail_gets_the_link_unless_it_brings_one(sender):
    _, _, without = composed(submitted(sender))
    own = b"list-unsubscribe: <mailto:stop@b.example>\r\n"
    _, _, with_own = composed(submitted(sender, fields=own))

    assert "/u/" in str(without["List-Unsubscribe"])
    assert with_own.get_all("List-Unsubscribe") == ["<mailto:stop@b.example>"]
    assert with_own["List-Unsubscribe-Post"] is None
    assert with_own["X-Mailpush-Trace"]


def test_triggered_mail_and_orders_without_carry_no_link(sender):
    contents = [submitted(sender, stream=Stream.TRIGGER), ContentFactory(sender=sender, unsubscribe_scope=NO_LINK)]

    for content in contents:
        assert composed(content)[2]["List-Unsubscribe"] is None


@pytest.mark.parametrize("days_ago", [61, 300])
def test_tokens_name_no_message_for_ever(now, days_ago):
    token = tokens.make("message-id", 7, today=(now - timedelta(days=days_ago)).date())

    assert return_path.message_of_tokens(["junk", token], now=now) is None
