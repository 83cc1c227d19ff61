"""What a real mail server can do to our mail: Postfix as the receiver, in all its moods."""

import email
import email.policy
import socket
import socketserver
import threading
from contextlib import contextmanager, suppress
from datetime import timedelta

import dkim
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from domains.services import domains
from mailpush.mail.dkim import generate_key, public_record
from recipients.models import Suppression
from sending.delivery import sites
from sending.models import Batch, Event, Message
from tests.interop.conftest import PLATFORM, zone_lines
from tests.interop.programs import HOST, OpenDkim
from tests.sending.conftest import statuses

pytestmark = pytest.mark.django_db

ANN, BOB = "ann@north.example", "bob@north.example"
NORTH = ("north MX 10 mx.north", "mx.north A 127.0.0.1")
LATER = timedelta(days=1)


@pytest.fixture
def private_key(request):
    return Ed25519PrivateKey.generate() if getattr(request, "param", "rsa") == "ed25519" else generate_key()


@pytest.fixture
def receiving(nsd, start_postfix, receive, sender):
    """Have a Postfix receive the mail to Ann and others."""

    def receiving(*others, **options):
        nsd.publish(*PLATFORM, *NORTH, *zone_lines(domains.records_of(sender.domain)))
        postfix = start_postfix(ANN, *others, **options)
        receive(postfix)
        return postfix

    return receiving


def parsed(mail: bytes):
    return email.message_from_bytes(mail, policy=email.policy.default)


@contextmanager
def serving(handler):
    """Run a TCP server on loopback and give its port."""

    class Server(socketserver.ThreadingTCPServer):
        daemon_threads = True

    with Server((HOST, 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


# ── Signatures ──


@pytest.mark.parametrize("private_key", ["rsa", "ed25519"], indirect=True)
@pytest.mark.parametrize(("is_published", "verdict"), [(True, "pass"), (False, "fail")])
def test_opendkim_verifies_what_postfix_receives(
    folder, nsd, receiving, sender, start_batch, deliver, private_key, is_published, verdict
):
    key = sender.domain.key_in_use
    other = Ed25519PrivateKey.generate() if isinstance(private_key, Ed25519PrivateKey) else generate_key()
    (folder / "opendkim").mkdir()
    with OpenDkim(
        folder / "opendkim", {key.host: key.public_record if is_published else public_record(other)}
    ) as opendkim:
        postfix = receiving(extra=f"smtpd_milters = inet:{HOST}:{opendkim.port}\nmilter_default_action = tempfail")
        batch = start_batch(ANN)
        deliver()
        mail = parsed(postfix.wait_for_mail(ANN))

    assert statuses(batch) == {ANN: "delivered"}
    assert f"dkim={verdict}" in mail["Authentication-Results"]
    assert f"header.d={sender.domain.name}" in mail["Authentication-Results"]


# ── Addresses beyond ASCII ──


def test_address_in_chinese_goes_over_smtputf8(nsd, receiving, start_batch, deliver):
    wang = "王@north.example"
    postfix = receiving(wang)

    batch = start_batch(wang, ANN)
    deliver()

    assert statuses(batch) == {wang: "delivered", ANN: "delivered"}
    mail = postfix.wait_for_mail(wang)
    assert f"\nTo: {wang}\n".encode() in mail
    assert "UTF8SMTPS" in parsed(mail)["Received"]
    assert dkim.verify(mail[mail.index(b"DKIM-Signature:") :], dnsfunc=nsd.txt)


def test_address_in_chinese_bounces_where_smtputf8_is_not_known(receiving, start_batch, deliver):
    wang = "王@north.example"
    receiving(wang, extra="smtputf8_enable = no")

    batch = start_batch(wang)
    deliver()

    assert statuses(batch) == {wang: "bounced"}
    assert Message.objects.get().last_reply.startswith("553 5.6.7 Not sent")
    assert not Suppression.objects.exists()


# ── Greylisting ──


class Greylister(socketserver.StreamRequestHandler):
    """Postfix's policy protocol: what it has not seen yet is put off."""

    seen: set[str]

    def handle(self):
        wanted = {}
        for line in self.rfile:
            name, _, value = line.decode().strip().partition("=")
            wanted[name] = value
            if not name:
                recipient = wanted["recipient"]
                action = "dunno" if recipient in self.seen else "defer_if_permit 4.2.0 Greylisted, come again"
                self.seen.add(recipient)
                self.wfile.write(f"action={action}\n\n".encode())


def test_greylisted_mail_comes_again(receiving, start_batch, deliver):
    greylister = type("Greylister", (Greylister,), {"seen": {BOB}})
    with serving(greylister) as port:
        postfix = receiving(
            BOB,
            extra=f"smtpd_recipient_restrictions = reject_unauth_destination, check_policy_service inet:{HOST}:{port}",
        )
        batch = start_batch(ANN, BOB)
        deliver()
        before = statuses(batch)
        words = Message.objects.get(recipient=ANN).last_reply
        deliver(later=LATER)

    assert before == {ANN: "deferred", BOB: "delivered"}
    assert words.startswith(f"450 4.2.0 <{ANN}>: Recipient address rejected: Greylisted, come again")
    assert statuses(batch) == {ANN: "delivered", BOB: "delivered"}
    batch.refresh_from_db()
    assert batch.status == Batch.Status.DONE
    postfix.wait_for_mail(ANN)
    assert len(postfix.mails_of(ANN)) == 1


# ── Size ──


@pytest.mark.parametrize(
    ("hidden", "words"),
    [
        ("", "552 5.3.4 Not sent: the message has"),
        ("size", "552 5.3.4 Chunk exceeds message size limit"),
        ("size chunking", "552 5.3.4 Error: message file too big"),
    ],
    ids=["announced", "in a chunk", "after the data"],
)
def test_message_too_large_bounces_and_leaves_the_mailbox_in_peace(receiving, start_batch, deliver, hidden, words):
    postfix = receiving(extra=f"message_size_limit = 20000\nsmtpd_discard_ehlo_keywords = {hidden}")

    large = start_batch(ANN, html=f"<p>{'Lorem ipsum ' * 2000}</p>")
    small = start_batch(ANN)
    deliver()

    assert (statuses(large), statuses(small)) == ({ANN: "bounced"}, {ANN: "delivered"})
    message = Message.objects.get(batch=large)
    assert message.last_reply.startswith(words)
    assert not message.invalid
    assert not Suppression.objects.exists()
    postfix.wait_for_mail(ANN)
    assert len(postfix.mails_of(ANN)) == 1


# ── Broken connections ──


def cutting(port: int, when: bytes) -> type[socketserver.BaseRequestHandler]:
    """Return a relay to a server that cuts the line once instead of passing on what has `when` in it."""
    has_cut = threading.Event()

    class Cutter(socketserver.BaseRequestHandler):
        def handle(self):
            with socket.create_connection((HOST, port)) as server:
                back = threading.Thread(target=self.pump, args=(server, self.request))
                back.start()
                self.pump(self.request, server)
                back.join()

        def pump(self, source, target):
            with suppress(OSError):
                while piece := source.recv(65536):
                    if when in piece and not has_cut.is_set():
                        has_cut.set()
                        break
                    target.sendall(piece)
            for end in (source, target):
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)

    return Cutter


@pytest.mark.parametrize(
    ("hidden", "when", "words"),
    [
        ("chunking", b"queued as", "end of data: the server closed the connection"),
        ("", b"queued as", "MAIL: the server closed the connection"),  # all of it went in one write
        ("", b"RCPT TO", "MAIL: the server closed the connection"),
    ],
    ids=["the answer to the data", "the answer to the chunk", "the mail itself"],
)
def test_connection_that_breaks_loses_nothing(receiving, start_batch, deliver, settings, hidden, when, words):
    """Where the answer is lost the mail comes twice, with one Message-ID (RFC 1047 has no better way)."""
    postfix = receiving(tls="none", extra=f"smtpd_discard_ehlo_keywords = {hidden}")
    with serving(cutting(postfix.port, when)) as settings.MAILPUSH_MX_PORT:
        batch = start_batch(ANN)
        deliver()
        before = Message.objects.get()
        deliver(later=LATER)
        copies = 2 if when == b"queued as" else 1
        postfix.wait_until(lambda: len(postfix.mails_of(ANN)) == copies)

    assert (before.status, before.last_reply) == ("deferred", words)
    assert statuses(batch) == {ANN: "delivered"}
    assert len({parsed(mail)["Message-ID"] for mail in postfix.mails_of(ANN)}) == 1


def test_connection_that_broke_between_two_mails_is_opened_anew(receiving, start_batch, deliver, monkeypatch):
    """Postfix closes a connection that was idle for a second; ours waits longer for the next mail."""
    monkeypatch.setattr(sites, "IDLE_SECONDS", 20.0)
    receiving(BOB, extra="smtpd_timeout = 1s")

    start_batch(ANN)
    deliver()
    threading.Event().wait(1.5)
    batch = start_batch(BOB)
    deliver()

    assert statuses(batch) == {BOB: "delivered"}
    assert Event.objects.filter(attempt__isnull=False).count() == 2
