"""What people send with, at the submission door: over STARTTLS and implicit TLS, and what arrives in the end."""

import email
import email.policy
import hashlib
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import format_datetime

import pytest
from django.conf import settings as django_settings
from django.utils import timezone

from domains.services.domains import add_key
from mailpush.mail.door import Limits
from sending.models import Message
from tests.factories import SenderFactory
from tests.interop.clients import CLIENTS, Way
from tests.mailpush.mail.smtp_kit import server_tls
from tests.sending.door_kit import OpenDoor, password_for

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(180)]

SUBJECT = "您的订单已发货：请查收 📦 " + "很长的主题" * 12
TEXT = "尊敬的顾客：\n\n.一行以点开头\n123 456\n" + "这一行很长，" * 40 + "\n"
HTML = "<p>尊敬的顾客：</p>\n<p>" + "这一行很长，" * 40 + "</p>\n"


@pytest.fixture
def shop(private_key):
    shop = SenderFactory(stream="trigger", address="shop@mail.example.com", domain__name="mail.example.com")
    add_key(shop.domain, private_key, now=timezone.now())
    return shop


@pytest.fixture
def way(shop, tmp_path):
    """Open a door and return how to get in."""
    opened = []
    tls = server_tls(tmp_path)

    def way(*, is_wrapped: bool) -> Way:
        door = OpenDoor(Limits(message_size=django_settings.MAILPUSH_MAX_MESSAGE_BYTES), tls=tls)
        opened.append(door.__enter__())
        port = door.tls_port if is_wrapped else door.port
        return Way(port, is_wrapped, shop.address, password_for(shop), tmp_path / "mx.test.pem", tmp_path)

    yield way
    for door in opened:
        door.__exit__()


def order(shop, attachment: bytes, to: str = "reader@north.example") -> EmailMessage:
    """Compose a mail with everything that could get hurt."""
    mail = EmailMessage()
    mail["From"] = Address("小店 (Shop)", addr_spec=shop.address)
    mail["To"] = to
    mail["Subject"] = SUBJECT
    mail["Message-ID"] = "<order-1@shop.example>"
    mail["Date"] = format_datetime(timezone.now().replace(microsecond=0))
    mail.set_content(TEXT)
    mail.add_alternative(HTML, subtype="html")
    mail.add_attachment(attachment, maintype="application", subtype="octet-stream", filename="发票.bin")
    return mail


def essence(mail: EmailMessage) -> dict:
    """Return everything of a mail that its reader can see."""
    parts = [part for part in mail.walk() if not part.is_multipart()]
    return {
        **{name: " ".join(str(mail[name]).split()) for name in ("From", "To", "Subject", "Message-ID")},
        "Date": mail["Date"].datetime,
        "parts": [(part.get_content_type(), part.get_filename(), _digest(part)) for part in parts],
    }


def _digest(part) -> str:
    content = part.get_content()
    if isinstance(content, str):  # programs differ in the line ends at the very end
        return content.replace("\r\n", "\n").rstrip("\n")
    return hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("is_wrapped", [False, True], ids=["starttls", "implicit"])
@pytest.mark.parametrize("client", list(CLIENTS))
def test_mail_arrives_as_it_was_written(client, is_wrapped, way, shop, internet, deliver):
    mail = order(shop, bytes(range(256)) * 40)

    CLIENTS[client](way(is_wrapped=is_wrapped), mail)
    deliver()

    (arrived,) = internet.mails
    assert essence(email.message_from_bytes(arrived.raw, policy=email.policy.default)) == essence(mail)
    header = arrived.raw.partition(b"\r\n\r\n")[0]
    assert b"with ESMTPSA" in header
    assert header.startswith(b"DKIM-Signature: ")
    assert header.index(b"X-Mailpush-Trace: ") < header.index(b"Received: ")


@pytest.mark.parametrize("client", ["smtplib", "aiosmtplib", "nodemailer", "postfix"])
def test_recipient_beyond_ascii(client, way, shop, internet, deliver):
    mail = order(shop, b"x", to="张三@north.example")

    CLIENTS[client](way(is_wrapped=False), mail)
    deliver()

    assert Message.objects.get().recipient == "张三@north.example"
    (arrived,) = internet.mails
    assert arrived.rcpt_to == "张三@north.example"
    # Addresses beyond ASCII are UTF-8 in the header, too (RFC 6532).
    assert "张三@north.example" in arrived.raw.decode()


@pytest.mark.parametrize("client", list(CLIENTS))
def test_attachment_of_fifteen_megabytes(client, way, shop, internet, deliver):
    mail = order(shop, bytes(range(256)) * 61_440)

    CLIENTS[client](way(is_wrapped=False), mail)
    deliver()

    (arrived,) = internet.mails
    delivered = email.message_from_bytes(arrived.raw, policy=email.policy.default)
    assert essence(delivered)["parts"] == essence(mail)["parts"]
