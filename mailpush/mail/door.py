"""What an SMTP door decides about its visitors, what it may know of them, and what it is spared."""

import ipaddress
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from mailpush.mail.envelope import Envelope, Params
from mailpush.mail.replies import Reply

IPV6 = 6


class AuthPolicy(StrEnum):
    """Whether the door takes names and passwords, and over which lines."""

    NONE = "none"
    TLS = "tls"
    TLS_OR_LOOPBACK = "tls_or_loopback"
    ANYWHERE = "anywhere"  # passwords may be read on the way


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may use up; sizes in bytes, times in seconds."""

    message_size: int = 15_728_640
    recipients: int = 100
    line: int = 2048  # MAIL and RCPT with parameters
    bare_line: int = 512  # all other commands: RFC 5321 section 4.5.3.1.4
    auth_line: int = 12_288  # RFC 4954 section 4
    idle_seconds: float = 300  # RFC 5321 section 4.5.3.2.7; for a whole command, however slowly it drips in
    block_seconds: float = 180  # between two pieces of a message
    data_seconds: float = 1800  # for a whole message or chunk
    tls_seconds: float = 30
    errors: int = 20  # wrong commands and passwords until we hang up; an accepted message clears them
    junk: int = 100  # NOOP, RSET and the like without a message between; past that they are errors
    connections: int = 1000
    connections_per_ip: int = 50


@dataclass(slots=True)
class Session:
    """One visitor, as the door sees him."""

    peer: str  # IP address
    helo: str = ""
    is_esmtp: bool = False
    is_encrypted: bool = False
    user: str = ""  # proved by AUTH
    envelope: Envelope | None = None
    account: Any = field(default=None, repr=False)  # the door's own: who this is, as its `auth` found out
    # Codes that this visitor's program expects instead of ours, by our code and enhanced code ("552 5.3.4").
    codes: Mapping[str, int] = field(default_factory=dict)

    @property
    def network(self) -> str:
        """What counts as one client: an IPv4 address, or the /64 that one IPv6 customer has to himself."""
        address = ipaddress.ip_address(self.peer)
        if address.version == IPV6:
            return str(ipaddress.ip_network((address, 64), strict=False))
        return self.peer

    def spoken(self, reply: Reply) -> Reply:
        """Return the reply as this visitor's program expects it."""
        enhanced, _, words = reply.text.partition(" ")
        code = self.codes.get(f"{reply.code} {enhanced}")
        return Reply(code, f"{code // 100}{enhanced[1:]} {words}") if code else reply


class Door(Protocol):
    """Decides who may do what. Each answer is sent as it is; 421 ends the connection."""

    async def connected(self, session: Session) -> Reply | None:
        """Greet; None is the usual banner, anything but 2xx shows the visitor out."""

    async def auth(self, session: Session, user: str, password: str) -> Reply | None:
        """Check name and password; None is yes."""

    async def mail(self, session: Session, mail_from: str, params: Params) -> Reply:
        """Take a sender, or refuse; empty is the null sender. A door that wants AUTH first says so here."""

    async def rcpt(self, session: Session, rcpt_to: str, params: Params) -> Reply:
        """Take a recipient, or refuse."""

    async def data(self, session: Session, content: bytes) -> Reply:
        """Take the message of `session.envelope`: CRLF line ends, dots as written. 2xx means it is ours now."""

    async def closed(self, session: Session) -> None:
        """Say goodbye; comes once after each `connected`."""


@dataclass(frozen=True, slots=True)
class Service:
    """A door with everything its conversations need."""

    door: Door
    hostname: str
    limits: Limits
    tls_context: ssl.SSLContext | None  # for STARTTLS
    auth: AuthPolicy
