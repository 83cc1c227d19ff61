"""Certificate authorities of one's own, and what they sign."""

import datetime as dt
import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

DAY = dt.timedelta(days=1)


class Authority:
    """An authority; `under` makes it an intermediate one."""

    def __init__(self, name: str = "Test CA", *, under: "Authority | None" = None) -> None:
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.under = under
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        signer = under or self
        self.certificate = signer._sign(name, self.key, [constraints], issuer=None if under else name)

    def _sign(self, name, key, extensions, *, issuer=None, age=DAY):
        now = dt.datetime.now(dt.UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(
                x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]) if issuer else self.certificate.subject
            )
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - age)
            .not_valid_after(now - age + 2 * DAY)
        )
        for extension in extensions:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())

    def issue(self, *names: str, age: dt.timedelta = DAY) -> "Issued":
        """Sign a server's certificate; one aged two days or more is out of date."""
        key = ec.generate_private_key(ec.SECP256R1())
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        certificate = self._sign(
            names[0], key, [alternative, x509.BasicConstraints(ca=False, path_length=None)], age=age
        )
        above = [self.certificate] if self.under else []
        return Issued(key, [certificate, *above])

    @property
    def pem(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def trusting(self) -> ssl.SSLContext:
        """Return a client's TLS that knows this authority alone."""
        return ssl.create_default_context(cadata=self.pem.decode())


class Issued:
    """A server's key with its certificate and those above, but the root's."""

    def __init__(self, key, chain) -> None:
        self.key = key
        self.chain = chain

    @property
    def ders(self) -> list[bytes]:
        return [each.public_bytes(serialization.Encoding.DER) for each in self.chain]

    @property
    def pem(self) -> bytes:
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return key + b"".join(each.public_bytes(serialization.Encoding.PEM) for each in self.chain)

    def serving(self, folder: Path) -> ssl.SSLContext:
        """Return a server's TLS."""
        path = folder / "issued.pem"
        path.write_bytes(self.pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context
