"""A domain proved in a foreign name server's zone; a batch received by foreign mail servers."""

import email
import email.policy

import dkim
import pytest
from django.utils import timezone

from domains.models import Domain
from domains.services import domains
from mailpush.mail.records import Outcome
from recipients.models import Suppression
from sending.models import Batch, Message
from tests.interop.conftest import PLATFORM, zone_lines
from tests.interop.programs import HOST, SmtpSink
from tests.sending.conftest import statuses

pytestmark = pytest.mark.django_db

NAME = "news.shop.example"
NORTH = ("north MX 10 mx.north", "mx.north A 127.0.0.1", "south MX 10 mx.north")


@pytest.fixture
def domain(nsd, actor):
    """A new domain that nothing has been published for."""
    return domains.create(NAME, by=actor, now=timezone.now())[0]


def lines_of(domain, *, but: tuple[str, ...] = ()) -> list[str]:
    """Return the zone file's lines for all records the platform asks for, save those of some kinds."""
    return zone_lines(record for record in domains.records_of(domain) if record.kind not in but)


def verified(domain, actor) -> Domain:
    return domains.verify(domain, by=actor, now=timezone.now())


def reasons(domain) -> dict[str, str]:
    """Return why checks did not pass."""
    return {check.kind: check.reason for check in domain.checks.all() if check.outcome != Outcome.PASSED}


# ── Domains ──


def test_domain_with_the_records_we_ask_for_is_verified(nsd, domain, actor):
    assert reasons(domain).keys() == {"ownership", "spf", "mx", "dkim", "dmarc", "tracking"}

    nsd.publish(*PLATFORM, *lines_of(domain))
    domain = verified(domain, actor)

    assert reasons(domain) == {}
    assert domain.status == Domain.Status.VERIFIED


@pytest.mark.parametrize("kind", ["ownership", "spf", "mx"])
def test_domain_without_a_required_record_is_not_verified(nsd, domain, actor, kind):
    nsd.publish(*PLATFORM, *lines_of(domain, but=(kind,)))

    domain = verified(domain, actor)

    assert reasons(domain) == {kind: "no_record"}
    assert domain.status == Domain.Status.UNVERIFIED


TEN_LOOKUPS = " a:ns.example" * 10
OURS = "include:spf1.platform.example"


@pytest.mark.parametrize(
    ("kind", "reason", "lines"),
    [
        ("ownership", "other_value", [f'mailpush.{NAME}. TXT "another-token"']),
        ("spf", "two_records", [f'{NAME}. TXT "v=spf1 {OURS} -all"', f'{NAME}. TXT "v=spf1 mx -all"']),
        ("spf", "not_included", [f'{NAME}. TXT "v=spf1 ip4:127.0.0.1 -all"']),
        ("spf", "after_all", [f'{NAME}. TXT "v=spf1 -all {OURS}"']),
        ("spf", "not_a_pass", [f'{NAME}. TXT "v=spf1 ~{OURS} -all"']),
        ("spf", "too_many_lookups", [f'{NAME}. TXT "v=spf1{TEN_LOOKUPS} {OURS} -all"']),
        ("spf", "broken_include", [f'{NAME}. TXT "v=spf1 include:nowhere.example {OURS} -all"']),
        ("spf", "loop", [f'{NAME}. TXT "v=spf1 include:{NAME} {OURS} -all"']),
        ("mx", "other_host", [f"{NAME}. MX 10 mx.north.example."]),
        ("mx", "other_host_first", [f"{NAME}. MX 5 mx.north.example.", f"{NAME}. MX 10 mx01.platform.example."]),
        ("mx", "shared_preference", [f"{NAME}. MX 10 mx.north.example.", f"{NAME}. MX 10 mx01.platform.example."]),
        ("dmarc", "bad_policy", [f'_dmarc.{NAME}. TXT "v=DMARC1; p=later"']),
        ("tracking", "other_host", ["{tracking}. CNAME mx.north.example."]),
        ("dkim", "revoked", ['{dkim}. TXT "v=DKIM1; k=rsa; p="']),
        ("dkim", "other_key", ['{dkim}. TXT "v=DKIM1; k=rsa; p=MIIB"']),
    ],
)
def test_changed_record_is_told_with_its_reason(nsd, domain, actor, kind, reason, lines):
    names = {"tracking": domain.tracking_host, "dkim": domain.key_in_use.host}
    nsd.publish(*PLATFORM, *NORTH, *lines_of(domain, but=(kind,)), *(line.format(**names) for line in lines))

    domain = verified(domain, actor)

    assert reasons(domain) == {kind: reason}
    assert domain.status == (Domain.Status.VERIFIED if kind in {"dkim", "dmarc", "tracking"} else "unverified")


def test_records_behind_a_cname_count(nsd, domain, actor):
    """Many keep such records in another zone and point there (RFC 1034 section 3.6.2)."""
    keys = domain.key_in_use.host
    lines = [line.replace(f"{keys}. TXT", "key.shop.example. TXT") for line in lines_of(domain)]
    nsd.publish(*PLATFORM, *lines, f"{keys}. CNAME key.shop.example.")

    assert reasons(verified(domain, actor)) == {}


def test_domain_stays_verified_while_its_name_server_is_silent(nsd, domain, actor, settings):
    nsd.publish(*PLATFORM, *lines_of(domain))
    verified(domain, actor)
    settings.MAILPUSH_DNS_SERVERS = [(HOST, 9)]  # nobody answers there

    domain = verified(domain, actor)

    assert set(reasons(domain).values()) == {"no_answer"}
    assert domain.status == Domain.Status.VERIFIED


# ── Mail ──


def test_batch_arrives_signed_at_smtp_sink(nsd, folder, receive, sender, start_batch, deliver):
    (folder / "sink").mkdir()
    nsd.publish(*PLATFORM, *NORTH, *lines_of(sender.domain))
    addresses = [f"reader{n}@{place}.example" for n in range(150) for place in ("north", "south")]

    with SmtpSink(folder / "sink") as sink:
        receive(sink)
        batch = start_batch(*addresses)
        deliver()
        mails = sink.mails

    batch.refresh_from_db()
    assert (batch.status, batch.total, batch.delivered) == (Batch.Status.DONE, 300, 300)
    assert sorted(envelope["X-Rcpt-Args"].split(">")[0] for envelope, _ in mails) == sorted(f"<{a}" for a in addresses)
    for envelope, mail in mails:
        parsed = email.message_from_bytes(mail, policy=email.policy.default)
        to = parsed["To"].addresses[0].addr_spec
        assert envelope["X-Rcpt-Args"].startswith(f"<{to}>")
        assert parsed.get_body(("plain",)).get_content().strip() == f"Dear {to.partition('@')[0]}"
    assert len({email.message_from_bytes(mail)["Message-ID"] for _, mail in mails}) == 300
    assert all(dkim.verify(mail, dnsfunc=nsd.txt) for _, mail in mails[:20])


@pytest.fixture
def postfix(nsd, start_postfix):
    """A Postfix for north.example and south.example where only Ann, Bob and Cat have mailboxes."""
    return start_postfix("ann@north.example", "bob@north.example", "cat@south.example")


def test_postfix_takes_the_mail_of_those_it_knows_over_tls(nsd, postfix, receive, sender, start_batch, deliver):
    nsd.publish(*PLATFORM, *NORTH, *lines_of(sender.domain))
    receive(postfix)

    batch = start_batch("ann@north.example", "bob@north.example", "cat@south.example")
    deliver()

    assert set(statuses(batch).values()) == {"delivered"}
    for address in ("ann@north.example", "bob@north.example", "cat@south.example"):
        mail = postfix.wait_for_mail(address)
        parsed = email.message_from_bytes(mail, policy=email.policy.default)
        assert "ESMTPS" in parsed["Received"]
        assert parsed["Delivered-To"] == address
        # What the receiving server has put before our headers is not signed.
        assert dkim.verify(mail[mail.index(b"DKIM-Signature:") :], dnsfunc=nsd.txt)


def test_mailbox_unknown_to_postfix_bounces_and_is_suppressed(nsd, postfix, receive, sender, start_batch, deliver):
    nsd.publish(*PLATFORM, *NORTH, *lines_of(sender.domain))
    receive(postfix)

    batch = start_batch("ann@north.example", "gone@north.example", "gone@south.example")
    deliver()

    assert statuses(batch) == {
        "ann@north.example": "delivered",
        "gone@north.example": "bounced",
        "gone@south.example": "bounced",
    }
    gone = Message.objects.get(recipient="gone@north.example")
    assert gone.invalid
    assert gone.last_reply.startswith("550 5.1.1 <gone@north.example>: Recipient address rejected: User unknown")
    assert set(Suppression.objects.filter(account=sender.account).values_list("address", flat=True)) == {
        "gone@north.example",
        "gone@south.example",
    }


def test_refusal_to_relay_is_not_held_against_the_mailbox(nsd, postfix, receive, sender, start_batch, deliver):
    nsd.publish(*PLATFORM, *NORTH, *lines_of(sender.domain), "east MX 10 mx.north")
    receive(postfix)

    batch = start_batch("ann@east.example")
    deliver()

    assert statuses(batch) == {"ann@east.example": "bounced"}
    assert Message.objects.get().last_reply.startswith("554 5.7.1 <ann@east.example>: Relay access denied")
    assert not Suppression.objects.exists()
