"""DANE and MTA-STS with software that others have written: NSD with a signed zone, Unbound that validates, Postfix."""

import pytest

from mailpush.mail import tls
from mailpush.mail.mta_sts import Https
from sending.delivery import strict_transport
from sending.models import Destination, Message
from tests.interop.conftest import PLATFORM
from tests.interop.programs import HOST, Nsd, Unbound
from tests.mailpush.mail.certificates import Authority
from tests.mailpush.mail.test_dane import tlsa
from tests.sending.conftest import statuses
from tests.sending.policy_server import PolicyServer

pytestmark = pytest.mark.django_db

ANN = "ann@north.example"
NORTH = ("north MX 10 mx.north", "mx.north A 127.0.0.1")
AUTHORITY = Authority()
SERVER = AUTHORITY.issue("mx.north.example")
STRANGE = Authority().issue("mx.north.example")
MISFIT = AUTHORITY.issue("mx.south.example")


@pytest.fixture
def nsd(folder, settings):
    """A name server with a signed zone, asked by way of a resolver that validates."""
    for name in ("nsd", "unbound"):
        (folder / name).mkdir()
    with Nsd(folder / "nsd", is_signed=True) as nsd, Unbound(folder / "unbound", nsd) as unbound:
        settings.MAILPUSH_DNS_SERVERS = [(HOST, unbound.port)]
        yield nsd


@pytest.fixture
def postfix(nsd, start_postfix, receive):
    postfix = start_postfix(ANN, pem=SERVER.pem)
    receive(postfix)
    return postfix


def published(postfix, *records) -> list[str]:
    return [f"_{postfix.port}._tcp.mx.north TLSA {r.usage} {r.selector} {r.matching} {r.value}" for r in records]


def demands() -> list[str]:
    return [host["demand"] and host["demand"]["by"] for host in Destination.objects.get().hosts]


@pytest.mark.parametrize(
    "record",
    [tlsa(3, 1, 1, SERVER.chain[0]), tlsa(2, 0, 0, AUTHORITY.certificate)],
    ids=["the certificate", "its authority"],
)
def test_postfix_with_the_certificate_in_dns_gets_the_mail(nsd, postfix, sender, start_batch, deliver, record):
    nsd.publish(*PLATFORM, *NORTH, *published(postfix, record))

    batch = start_batch(ANN)
    deliver()

    assert statuses(batch) == {ANN: "delivered"}
    assert demands() == ["DANE"]
    assert b"with ESMTPS" in postfix.wait_for_mail(ANN)


@pytest.mark.parametrize(
    "record",
    [tlsa(3, 1, 1, STRANGE.chain[0]), tlsa(2, 0, 1, STRANGE.chain[0])],
    ids=["the certificate", "its authority"],
)
def test_postfix_with_another_certificate_gets_nothing(nsd, postfix, sender, start_batch, deliver, record):
    nsd.publish(*PLATFORM, *NORTH, *published(postfix, record))

    batch = start_batch(ANN)
    deliver()

    assert statuses(batch) == {ANN: "deferred"}
    assert Message.objects.get().last_reply == (
        "mx.north.example [127.0.0.1]: STARTTLS: the server's certificate matches none of its TLSA records, "
        "but the recipient's domain demands trusted TLS (DANE)"
    )
    assert postfix.mails_of(ANN) == []


def test_records_that_are_forged_stop_the_mail(nsd, postfix, sender, start_batch, deliver):
    """A zone that does not fit its signatures is no answer to a validating resolver."""
    nsd.publish(*PLATFORM, *NORTH, *published(postfix, tlsa(3, 1, 1, SERVER.chain[0])))
    nsd.stop()
    zone = nsd.folder / "world.zone"
    zone.write_text(zone.read_text().replace(tlsa(3, 1, 1, SERVER.chain[0]).value, "ab" * 32))
    nsd.start()

    batch = start_batch(ANN)
    deliver()

    assert statuses(batch) == {ANN: "deferred"}
    assert Message.objects.get().last_reply.startswith("4.4.3 DNS did not answer for the mail servers of north.example")
    assert postfix.mails_of(ANN) == []


def test_dane_counts_before_mta_sts(nsd, postfix, sender, start_batch, deliver, tmp_path, monkeypatch):
    """The policy names another server, the TLSA record this one (RFC 8461 section 2)."""
    with policies(tmp_path, monkeypatch) as server:
        server.enforce("north.example", "mx.elsewhere.example")
        nsd.publish(*PLATFORM, *NORTH, *ANNOUNCED, *published(postfix, tlsa(3, 1, 1, SERVER.chain[0])))
        batch = start_batch(ANN)
        deliver()

    assert statuses(batch) == {ANN: "delivered"}
    assert demands() == ["DANE"]


# ── MTA-STS ──

ANNOUNCED = ('_mta-sts.north TXT "v=STSv1; id=1;"', "mta-sts.north A 127.0.0.1")


def policies(folder, monkeypatch) -> PolicyServer:
    (folder / "authority.pem").write_bytes(AUTHORITY.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "authority.pem"))
    tls.verifying_context.cache_clear()
    server = PolicyServer(AUTHORITY.issue("mta-sts.north.example").serving(folder))
    monkeypatch.setattr(strict_transport, "HTTPS", Https(port=server.port, may_be_private=True))
    return server


@pytest.fixture
def _trust():
    yield
    tls.verifying_context.cache_clear()


@pytest.mark.usefixtures("_trust")
@pytest.mark.parametrize(
    ("shown", "outcome"),
    [(SERVER, "delivered"), (STRANGE, "deferred"), (MISFIT, "deferred")],
    ids=["right", "not vouched for", "another name"],
)
def test_certificate_that_postfix_shows_decides(
    nsd, start_postfix, receive, sender, start_batch, deliver, tmp_path, monkeypatch, shown, outcome
):
    postfix = start_postfix(ANN, pem=shown.pem)
    receive(postfix)
    with policies(tmp_path, monkeypatch) as server:
        server.enforce("north.example", "*.north.example")
        nsd.publish(*PLATFORM, *NORTH, *ANNOUNCED)
        batch = start_batch(ANN)
        deliver()

    assert statuses(batch) == {ANN: outcome}
    assert demands() == ["MTA-STS"]
    if outcome == "deferred":
        assert Message.objects.get().last_reply.endswith("the recipient's domain demands trusted TLS (MTA-STS)")
        assert postfix.mails_of(ANN) == []
