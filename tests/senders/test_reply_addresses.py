from datetime import timedelta

import pytest
from django.core import mail, signing

from accounts.models import AuditEntry
from senders.services import reply_addresses
from tests.factories import DomainFactory, SenderFactory

pytestmark = pytest.mark.django_db

LATER = timedelta(minutes=2)


@pytest.fixture
def sender(actor):
    return SenderFactory(account=actor.account)


def test_reply_address_is_usable_once_confirmed(sender, actor, links, now):
    reply_addresses.change(sender, "help@example.org", by=actor, now=now)
    token = links()[0].rstrip("/").rpartition("/")[2]
    found = reply_addresses.find(token)
    confirmed = reply_addresses.confirm(token, now=now)

    assert found.usable_reply_to == ""
    assert confirmed.usable_reply_to == "help@example.org"
    assert list(AuditEntry.objects.order_by("pk").values_list("actor", "action")) == [
        (actor.name, "sender.reply_address_changed"),
        ("help@example.org", "sender.reply_address_confirmed"),
    ]


def test_confirming_twice_is_no_mistake(sender, actor, now):
    reply_addresses.change(sender, "help@example.org", by=actor, now=now)
    sender.refresh_from_db()
    token = reply_addresses.token_for(sender)
    reply_addresses.confirm(token, now=now)

    again = reply_addresses.confirm(token, now=now + LATER)

    assert again.reply_to_verified_at == now


def test_link_for_an_earlier_address_confirms_nothing(sender, actor, links, now):
    reply_addresses.change(sender, "old@example.org", by=actor, now=now)
    old = links()[0].rstrip("/").rpartition("/")[2]
    reply_addresses.change(sender, "new@example.org", by=actor, now=now + LATER)

    with pytest.raises(reply_addresses.LinkNotValid):
        reply_addresses.confirm(old, now=now)


def test_forged_or_old_link_confirms_nothing(sender, actor, now, monkeypatch):
    reply_addresses.change(sender, "help@example.org", by=actor, now=now)
    sender.refresh_from_db()
    for token in (
        "x",
        signing.dumps([sender.pk, sender.reply_to], salt="another purpose"),
        reply_addresses.token_for(sender)[:-1],
    ):
        with pytest.raises(reply_addresses.LinkNotValid):
            reply_addresses.confirm(token, now=now)
    token = reply_addresses.token_for(sender)
    monkeypatch.setattr(reply_addresses, "LINK_LASTS", timedelta(seconds=-1))
    with pytest.raises(reply_addresses.LinkNotValid):
        reply_addresses.confirm(token, now=now)


def test_links_are_not_mailed_in_quick_succession(sender, actor, now):
    reply_addresses.change(sender, "help@example.org", by=actor, now=now)
    for deed in (
        lambda: reply_addresses.resend(sender, by=actor, now=now),
        lambda: reply_addresses.change(sender, "victim@example.org", by=actor, now=now),
    ):
        with pytest.raises(reply_addresses.AskedJustNow):
            deed()

    reply_addresses.resend(sender, by=actor, now=now + LATER)

    assert [message.to for message in mail.outbox] == [["help@example.org"]] * 2


def test_removed_reply_address_is_not_used(sender, actor, now):
    reply_addresses.change(sender, "help@example.org", by=actor, now=now)
    sender.refresh_from_db()
    reply_addresses.confirm(reply_addresses.token_for(sender), now=now)

    reply_addresses.change(sender, " ", by=actor, now=now)

    sender.refresh_from_db()
    assert (sender.reply_to, sender.reply_to_verified_at, sender.usable_reply_to) == ("", None, "")
    assert len(mail.outbox) == 1


def test_same_reply_address_again_changes_nothing(sender, actor, now):
    reply_addresses.change(sender, "help@example.org", by=actor, now=now)
    sender.refresh_from_db()
    reply_addresses.confirm(reply_addresses.token_for(sender), now=now)

    reply_addresses.change(sender, "help@example.org", by=actor, now=now)

    sender.refresh_from_db()
    assert sender.usable_reply_to == "help@example.org"


def test_nothing_to_resend(sender, actor, now):
    with pytest.raises(reply_addresses.NothingToConfirm):
        reply_addresses.resend(sender, by=actor, now=now)


@pytest.mark.parametrize("text", ["help", "help@", "a b@example.org", f"{'a' * 50}@example.org", "a@b@example.org"])
def test_malformed_reply_address_is_refused(text):
    with pytest.raises(reply_addresses.BadReplyAddress):
        reply_addresses.well_formed(text)


def test_sixty_characters_are_not_too_many():
    address = f"{'a' * 48}@example.org"

    assert len(address) == 60
    assert reply_addresses.well_formed(address) == address


def test_reply_address_whose_mail_comes_to_us_is_refused():
    domain = DomainFactory()

    with pytest.raises(reply_addresses.NoMailboxThere):
        reply_addresses.well_formed(f"help@{domain.name}")
