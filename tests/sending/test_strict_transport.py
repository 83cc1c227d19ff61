"""Domains that demand trusted TLS by MTA-STS, over real DNS, HTTPS and SMTP on loopback."""

from datetime import timedelta

import pytest
from django.utils import timezone

from mailpush.mail import tls
from mailpush.mail.mta_sts import Https
from sending.delivery import strict_transport
from sending.models import Destination, Lane, Message, Provider, StrictTransport
from tests.mailpush.mail.certificates import Authority
from tests.sending.conftest import Internet, statuses
from tests.sending.policy_server import PolicyServer

pytestmark = pytest.mark.django_db

AUTHORITY = Authority()
DOMAINS = ("north.example", "south.example", "west.example")


@pytest.fixture
def authority(tmp_path, monkeypatch):
    """The one public authority that is trusted."""
    (tmp_path / "authority.pem").write_bytes(AUTHORITY.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "authority.pem"))
    tls.verifying_context.cache_clear()
    yield AUTHORITY
    tls.verifying_context.cache_clear()


@pytest.fixture
def policies(authority, tmp_path, monkeypatch):
    names = (f"mta-sts.{domain}" for domain in DOMAINS)
    with PolicyServer(authority.issue(*names).serving(tmp_path)) as server:
        monkeypatch.setattr(strict_transport, "HTTPS", Https(port=server.port, may_be_private=True))
        yield server


def connected(folder, tls):
    """Return an internet where all the domains announce a policy."""
    internet = Internet(folder, tls=tls)
    for domain in DOMAINS:
        internet.world.publish(f"_mta-sts.{domain}", "TXT", "v=STSv1; id=1;")
        internet.world.publish(f"mta-sts.{domain}", "A", "127.0.0.1")
    return internet


@pytest.fixture
def internet(tmp_path, settings):
    """Servers that show a certificate for mx.north.example and mx.south.example."""
    issued = AUTHORITY.issue("mx.north.example", "mx.south.example").serving(tmp_path)
    with connected(tmp_path, issued) as internet:
        settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", internet.dns_port)]
        settings.MAILPUSH_MX_PORT = internet.smtp_port
        yield internet


def test_server_that_the_policy_names_gets_the_mail(internet, policies, start_batch, deliver):
    policies.enforce("north.example", "mx.north.example")
    policies.enforce("south.example", "*.south.example")

    batch = start_batch("ann@north.example", "bob@south.example")
    deliver()

    assert set(statuses(batch).values()) == {"delivered"}
    assert all(mail.is_encrypted for mail in internet.mails)
    assert [host["demand"]["by"] for each in Destination.objects.all() for host in each.hosts] == ["MTA-STS"] * 2
    assert StrictTransport.objects.get(domain="north.example").mx == ["mx.north.example"]


def test_server_with_a_wrong_certificate_waits_while_others_at_its_site_get_theirs(
    internet, policies, start_batch, deliver
):
    Provider.objects.filter(name="").update(connections=1)  # not to be shared with those who demand less
    policies.enforce("west.example", "mx.west.example")
    internet.world.publish("lax.example", "MX", "10 mx.west.example.")

    batch = start_batch("ann@lax.example", "bob@west.example", "cat@lax.example")
    deliver()

    assert statuses(batch) == {
        "ann@lax.example": "delivered",
        "bob@west.example": "deferred",
        "cat@lax.example": "delivered",
    }
    words = Message.objects.get(recipient="bob@west.example").last_reply
    assert words.startswith("mx.west.example [127.0.0.1]: STARTTLS: the server's certificate is not trusted: ")
    assert words.endswith(
        "certificate is not valid for 'mx.west.example', but the recipient's domain demands trusted TLS (MTA-STS)"
    )
    assert not Lane.objects.filter(suspended_until__gt=timezone.now()).exists()


def test_server_that_the_policy_does_not_name_gets_nothing(internet, policies, start_batch, deliver):
    policies.enforce("north.example", "mx.elsewhere.example")

    batch = start_batch("ann@north.example")
    deliver()

    assert statuses(batch) == {"ann@north.example": "deferred"}
    assert Message.objects.get().last_reply == (
        "4.7.0 The MTA-STS policy of north.example names none of its mail servers (mx.north.example)."
    )
    assert internet.mails == []


def test_server_that_lost_its_tls_gets_nothing(policies, start_batch, deliver, tmp_path, settings):
    policies.enforce("north.example", "mx.north.example")
    with connected(tmp_path, None) as internet:
        settings.MAILPUSH_DNS_SERVERS = [("127.0.0.1", internet.dns_port)]
        settings.MAILPUSH_MX_PORT = internet.smtp_port
        batch = start_batch("ann@north.example", "bob@south.example")
        deliver()

    assert statuses(batch) == {"ann@north.example": "deferred", "bob@south.example": "delivered"}
    assert Message.objects.get(recipient="ann@north.example").last_reply == (
        "mx.north.example [127.0.0.1]: STARTTLS: not offered, but the recipient's domain demands trusted TLS (MTA-STS)"
    )


def test_policy_on_trial_and_policy_that_cannot_be_had_hold_up_nothing(internet, policies, start_batch, deliver):
    policies.enforce("west.example", "mx.elsewhere.example", mode="testing")

    batch = start_batch("ann@west.example", "bob@north.example")
    deliver()

    assert set(statuses(batch).values()) == {"delivered"}


def test_policy_is_kept_while_it_cannot_be_looked_up(internet, policies, start_batch, deliver):
    policies.enforce("west.example", "mx.west.example")
    start_batch("ann@west.example")
    deliver()
    policies.policies.clear()
    internet.world.withdraw("_mta-sts.west.example", "TXT")
    Destination.objects.update(expires_at=timezone.now())

    batch = start_batch("bob@west.example")
    deliver()

    assert statuses(batch) == {"bob@west.example": "deferred"}
    assert policies.asked == 1


def test_policy_is_looked_up_anew_where_it_has_changed(internet, policies, start_batch, deliver):
    policies.enforce("north.example", "mx.elsewhere.example")
    batch = start_batch("ann@north.example")
    deliver()
    policies.enforce("north.example", "mx.north.example")
    internet.world.withdraw("_mta-sts.north.example", "TXT")
    internet.world.publish("_mta-sts.north.example", "TXT", "v=STSv1; id=2;")

    deliver(later=timedelta(minutes=10))

    assert statuses(batch) == {"ann@north.example": "delivered"}
    assert StrictTransport.objects.get().policy_id == "2"
