"""The certificate of a door: the operator's, taken up again when it is renewed."""

import asyncio
import ssl

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from mailpush.mail.certificate import CHAIN, KEY, BadCertificate, DoorCertificate
from tests.mailpush.mail.smtp_kit import HOST, Mailroom, open_door, server_tls


def put(folder, scratch, key=None):
    """Lay out a new certificate as certbot does; return it."""
    server_tls(scratch, key)
    pem = (scratch / "mx.test.pem").read_bytes()
    (folder / CHAIN).write_bytes(pem)
    key = serialization.load_pem_private_key(pem, None)
    (folder / KEY).write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return x509.load_pem_x509_certificate(pem).public_bytes(serialization.Encoding.DER)


async def shown(port):
    """Return the certificate that a new client gets to see."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(HOST, port, ssl=context)
    try:
        return writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        await writer.wait_closed()


async def test_renewed_certificate_is_shown_to_new_clients(tmp_path):
    folder, scratch = tmp_path / "tls", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    first = put(folder, scratch)
    certificate = DoorCertificate("mx.test", folder)
    async with open_door(Mailroom(), tls=certificate.context, implicit_tls=True) as listener:
        assert (await shown(listener.port), certificate.follow()) == (first, False)

        second = put(folder, scratch)
        assert certificate.follow()
        assert await shown(listener.port) == second

        (folder / KEY).write_text("half written")
        with pytest.raises(BadCertificate, match="cannot be used"):
            certificate.follow()
        assert await shown(listener.port) == second


async def test_key_of_another_kind_takes_the_place_of_the_one_before(tmp_path):
    folder, scratch = tmp_path / "tls", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    certificate = DoorCertificate("mx.test", folder)
    async with open_door(Mailroom(), tls=certificate.context, implicit_tls=True) as listener:
        ours = await shown(listener.port)

        operators = put(folder, scratch, rsa.generate_private_key(65537, 2048))
        assert certificate.follow()
        assert await shown(listener.port) == operators != ours


def test_one_is_made_where_there_is_none(tmp_path):
    certificate = DoorCertificate("mx.test", tmp_path)

    assert certificate.is_own
    assert not certificate.follow()


def test_wrong_files_are_said_at_the_start(tmp_path):
    for name in (CHAIN, KEY):
        (tmp_path / name).write_text("nonsense")

    with pytest.raises(BadCertificate, match=str(tmp_path)):
        DoorCertificate("mx.test", tmp_path)
