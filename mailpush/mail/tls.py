"""How SMTP clients use TLS: what is demanded of a server, and the contexts for it, each made once."""

import functools
import ssl
from enum import StrEnum


class TlsPolicy(StrEnum):
    """How much the connection must be protected."""

    OPPORTUNISTIC = "opportunistic"  # encrypted where offered, whoever answers
    REQUIRED = "required"  # STARTTLS, and the certificate must be the server's
    IMPLICIT = "implicit"  # TLS from the first byte (RFC 8314), certificate checked
    OFF = "off"


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
