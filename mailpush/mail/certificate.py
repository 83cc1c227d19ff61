"""Certificates of SMTP doors: the operator's, read again when it is renewed, or a self-signed one made at each start.

Opportunistic peers encrypt with either; mail programs that check the name need the operator's.
"""

import ssl
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

# As certbot names them, so that its folder can be linked.
CHAIN, KEY = "fullchain.pem", "privkey.pem"


class BadCertificate(Exception):
    """The operator's files cannot be used; the message says why."""


class DoorCertificate:
    """A server's TLS context, which shows each new client the present certificate, and the files it follows."""

    def __init__(self, hostname: str, folder: Path) -> None:
        """Take the certificate in `folder`, or make one for `hostname` where there is none.

        :raises BadCertificate: the files are there, but of no use.
        """
        self._chain, self._key = folder / CHAIN, folder / KEY
        self._seen = self._stamp()
        self.is_own = self._seen is None
        self._present = server_context(hostname) if self._seen is None else self._read()
        # Loading a new certificate into the context in use would leave one with a key of another kind beside it.
        self.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.context.sni_callback = self._hand_over  # called for each connection, whether it names a host or not

    def follow(self) -> bool:
        """Use the files for new connections where they have changed; return whether they have.

        :raises BadCertificate: they are of no use yet; the one in use stays, and the next call looks again.
        """
        stamp = self._stamp()
        if stamp is None or stamp == self._seen:
            return False
        self._present = self._read()
        self._seen, self.is_own = stamp, False
        return True

    def _hand_over(self, wire: ssl.SSLSocket | ssl.SSLObject, _host: str | None, _first: ssl.SSLContext) -> None:
        wire.context = self._present

    def _read(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        try:
            context.load_cert_chain(self._chain, self._key)
        except OSError as error:  # ssl.SSLError is one
            raise BadCertificate(f"The certificate in {self._chain.parent} cannot be used: {error}.") from error
        return context

    def _stamp(self) -> tuple[int, ...] | None:
        """Return what tells two versions of the files apart; None where there is no pair."""
        try:
            stats = self._chain.stat(), self._key.stat()
        except OSError:
            return None
        return tuple(number for stat in stats for number in (stat.st_mtime_ns, stat.st_size, stat.st_ino))


def server_context(hostname: str) -> ssl.SSLContext:
    """Return a server's TLS context with a self-signed certificate for `hostname`."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, hostname)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(hostname)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ) + certificate.public_bytes(serialization.Encoding.PEM)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with tempfile.TemporaryDirectory() as folder:  # private to us; ssl reads from files only
        path = Path(folder) / "door.pem"
        path.write_bytes(pem)
        context.load_cert_chain(path)
    return context
