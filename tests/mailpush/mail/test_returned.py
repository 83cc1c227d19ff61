"""Mails that come back, in the shapes that mail systems give them; each in `samples/`."""

from pathlib import Path

import pytest

from mailpush.mail import returned
from mailpush.mail.replies import Failure, address_is_dead, classify
from mailpush.mail.returned import Kind

SAMPLES = Path(__file__).parent / "samples"
TOKEN = "00000000004101490123456789abcdef0123"
ANNA = "anna@readers.example"

NO_MAILBOX, FULL, POLICY = Failure.NO_MAILBOX, Failure.MAILBOX_FULL, Failure.POLICY
RATE, CONTENT, INFRASTRUCTURE = Failure.RATE, Failure.CONTENT, Failure.INFRASTRUCTURE

# What it is for Anna, why, and whether her address is dead.
BOUNCES = {
    "postfix-unknown-user": (Kind.BOUNCE, NO_MAILBOX, True),
    "postfix-mailbox-full": (Kind.BOUNCE, FULL, False),
    "postfix-delayed": (Kind.DELAY, INFRASTRUCTURE, False),
    "postfix-expired": (Kind.BOUNCE, INFRASTRUCTURE, False),
    "exim-dsn": (Kind.BOUNCE, NO_MAILBOX, True),
    "exim-text": (Kind.BOUNCE, INFRASTRUCTURE, False),
    "exim-delay": (Kind.DELAY, INFRASTRUCTURE, False),
    "sendmail-user-unknown": (Kind.BOUNCE, NO_MAILBOX, True),
    "sendmail-warning": (Kind.DELAY, INFRASTRUCTURE, False),
    "gmail-no-such-user": (Kind.BOUNCE, NO_MAILBOX, True),
    "gmail-over-quota": (Kind.BOUNCE, FULL, False),
    "gmail-delay": (Kind.DELAY, FULL, False),
    "gmail-dmarc": (Kind.BOUNCE, POLICY, False),
    "gmail-disabled": (Kind.BOUNCE, FULL, True),  # 5.2.1: for good
    "office365-not-found": (Kind.BOUNCE, NO_MAILBOX, True),
    "office365-full": (Kind.BOUNCE, FULL, False),
    "office365-restricted": (Kind.BOUNCE, POLICY, False),
    "office365-blocked": (Kind.BOUNCE, POLICY, False),
    "exchange-2010": (Kind.BOUNCE, NO_MAILBOX, True),  # its own name for Anna's mailbox
    "exchange-redacted": (Kind.BOUNCE, NO_MAILBOX, True),
    "outlook-consumer": (Kind.BOUNCE, NO_MAILBOX, False),
    "yahoo-dsn": (Kind.BOUNCE, NO_MAILBOX, True),
    "yahoo-text": (Kind.BOUNCE, NO_MAILBOX, False),
    "qmail": (Kind.BOUNCE, NO_MAILBOX, True),
    "qmail-local": (Kind.BOUNCE, NO_MAILBOX, True),
    "qq-no-mailbox": (Kind.BOUNCE, NO_MAILBOX, True),
    "qq-frequency": (Kind.BOUNCE, RATE, False),
    "qq-content": (Kind.BOUNCE, CONTENT, False),
    "exmail-full": (Kind.BOUNCE, FULL, False),
    "netease-unknown": (Kind.BOUNCE, NO_MAILBOX, True),
    "netease-text-gbk": (Kind.BOUNCE, FULL, False),
    "netease-suspended": (Kind.BOUNCE, FULL, False),
    "netease-spam": (Kind.BOUNCE, POLICY, False),
    "sina-unknown": (Kind.BOUNCE, NO_MAILBOX, True),
    "aliyun-no-mailbox": (Kind.BOUNCE, NO_MAILBOX, True),
    "aliyun-spam": (Kind.BOUNCE, POLICY, False),
    "icloud-over-quota": (Kind.BOUNCE, FULL, False),
    "ses-relay": (Kind.BOUNCE, POLICY, False),
    "domino": (Kind.BOUNCE, NO_MAILBOX, True),
    "opensmtpd": (Kind.BOUNCE, NO_MAILBOX, True),
    "courier": (Kind.BOUNCE, NO_MAILBOX, True),
    "groupwise": (Kind.BOUNCE, NO_MAILBOX, False),
    "hmailserver": (Kind.BOUNCE, NO_MAILBOX, True),
    "mdaemon": (Kind.BOUNCE, NO_MAILBOX, False),
    "forwarded": (Kind.BOUNCE, NO_MAILBOX, False),  # the mailbox that Anna's mail is sent on to
    "base64-status": (Kind.BOUNCE, NO_MAILBOX, True),
    "one-block": (Kind.BOUNCE, NO_MAILBOX, True),
    "dovecot-quota": (Kind.BOUNCE, FULL, False),
}
OTHERS = {
    "postfix-success": Kind.NOTICE,
    "postfix-relayed": Kind.NOTICE,
    "multi-recipient": Kind.NOTICE,  # one of those it was sent on to has got it
    "vacation-gmail": Kind.AUTO_REPLY,
    "vacation-exchange": Kind.AUTO_REPLY,
    "vacation-qq": Kind.AUTO_REPLY,
    "challenge-response": Kind.AUTO_REPLY,
    "read-receipt": Kind.AUTO_REPLY,
    "arf-yahoo": Kind.COMPLAINT,
    "arf-redacted": Kind.COMPLAINT,
    "arf-headers-only": Kind.COMPLAINT,
    "arf-fraud": Kind.COMPLAINT,
    "jmrp-outlook": Kind.COMPLAINT,
    "arf-opt-out": Kind.OPT_OUT,
    "arf-not-spam": Kind.NOTICE,
    "arf-auth-failure": Kind.NOTICE,
    "person": Kind.OTHER,
    "spam-to-postmaster": Kind.OTHER,
    "daemon-chatter": Kind.OTHER,
}
NAMELESS = {"spam-to-postmaster", "daemon-chatter"}  # nothing in them is of a message of ours


def sample(name: str, *, token: str = TOKEN) -> bytes:
    """Return a sample as it comes off the wire, with a token of ours where it quotes one."""
    return (SAMPLES / f"{name}.eml").read_bytes().replace(b"{token}", token.encode()).replace(b"\n", b"\r\n")


@pytest.mark.parametrize(("name", "expected"), BOUNCES.items(), ids=BOUNCES)
def test_bounce_of_a_mail_system(name, expected):
    reading = returned.read(sample(name))

    reply, is_about_anna = reading.verdict(ANNA)
    assert (reading.kind_for(ANNA), classify(reply), is_about_anna and address_is_dead(reply)) == expected


@pytest.mark.parametrize(("name", "kind"), OTHERS.items(), ids=OTHERS)
def test_mail_that_is_no_bounce(name, kind):
    assert returned.read(sample(name)).kind_for(ANNA) == kind


@pytest.mark.parametrize("name", sorted({*BOUNCES, *OTHERS} - NAMELESS))
def test_token_of_the_message_is_found(name):
    assert TOKEN in returned.read(sample(name)).tokens


def test_every_sample_is_told_of():
    assert {path.stem for path in SAMPLES.iterdir()} == {*BOUNCES, *OTHERS, "postfix-utf8"}


def test_internationalised_report():
    reading = returned.read(sample("postfix-utf8"))

    (report,) = reading.reports
    assert (report.final, report.original) == ("安娜@readers.example", "安娜@readers.example")
    assert reading.verdict("安娜@readers.example")[1]


def test_line_ends_without_cr_are_read_alike():
    """The door lets none in, but an encoded part may hold them."""
    for name in BOUNCES:
        content = sample(name)
        assert returned.read(content.replace(b"\r\n", b"\n")).kind == returned.read(content).kind


def test_report_on_somebody_else_is_not_held_against_the_recipient():
    reading = returned.read(sample("postfix-unknown-user"))

    assert reading.verdict("bob@readers.example")[1] is False


@pytest.mark.parametrize("name", ["postfix-delayed", "exim-delay", "sendmail-warning"])
def test_delay_has_a_reply_of_its_kind(name):
    reply, _ = returned.read(sample(name)).verdict(ANNA)

    assert reply.code // 100 == 4
