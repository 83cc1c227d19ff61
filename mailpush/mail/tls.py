"""How SMTP clients use TLS: what is demanded of a server, and the contexts for it, each made once."""

import functools
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from mailpush.mail import dane
from mailpush.mail.dane import Tlsa


class TlsPolicy(StrEnum):
    """How much the connection must be protected."""

    OPPORTUNISTIC = "opportunistic"  # encrypted where offered, whoever answers
    REQUIRED = "required"  # STARTTLS, and the certificate must be the server's
    IMPLICIT = "implicit"  # TLS from the first byte (RFC 8314), certificate checked
    OFF = "off"


@dataclass(frozen=True, slots=True)
class TlsDemand:
    """What a recipient's domain has published about the TLS of one server: never deliver to it with less.

    With `records`, the certificate must match one of them; with `names` alone, a public authority must vouch
    for it under the first name; with neither, the connection must be encrypted, whoever answers.
    """

    by: str  # "DANE" or "MTA-STS": who demands it, for people to read
    names: tuple[str, ...] = ()
    records: tuple[Tlsa, ...] = ()

    def __str__(self) -> str:
        return f"the recipient's domain demands {'trusted ' if self.names else ''}TLS ({self.by})"

    @property
    def needs_public_authority(self) -> bool:
        return bool(self.names) and not self.records

    def check(self, tls: Any) -> None:
        """Check what the server has shown in the handshake; public authorities were asked in its course.

        :param tls: the connection's `ssl.SSLObject`.
        :raises NotVouchedFor: it is not what was published.
        """
        if self.records:
            dane.check(shown_chain(tls), self.records, self.names)


def shown_chain(tls: Any) -> list[bytes]:
    """Return the certificates that the peer has sent, its own first, each in DER."""
    if hasattr(tls, "get_unverified_chain"):  # Python 3.13
        return list(tls.get_unverified_chain())
    encoding_der = 2  # _ssl.ENCODING_DER
    found: Sequence[Any] = tls._sslobj.get_unverified_chain() or ()  # noqa: SLF001 - public since 3.13
    return [certificate.public_bytes(encoding_der) for certificate in found]


def why_refused(error: Exception, demand: TlsDemand | None = None) -> str:
    """Return in a sentence why a server's TLS is not taken."""
    reason = str(error) or type(error).__name__
    if isinstance(error, ssl.SSLCertVerificationError):
        reason = f"the server's certificate is not trusted: {error.verify_message.rstrip('.')}"
    return f"{reason}, but {demand}" if demand else reason


def context_for(policy: TlsPolicy, demand: TlsDemand | None) -> ssl.SSLContext:
    trusting = policy is TlsPolicy.OPPORTUNISTIC if demand is None else not demand.needs_public_authority
    return trusting_context() if trusting else verifying_context()


@functools.cache
def trusting_context() -> ssl.SSLContext:
    """Return TLS that takes any certificate: better read by one stranger than by all of them."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


@functools.cache
def verifying_context() -> ssl.SSLContext:
    """Return TLS that takes the server's own certificate only; made once, since making one takes 16 ms."""
    return ssl.create_default_context()
