"""Addresses and ids that name a message to whoever sends something back: made here, read here.

The *random address* of the manual is the envelope sender `b-<token>@<customer's domain>`: signed, so
that nobody can bounce a message that was never sent, and valid for as long as bounces arrive. Mail whose
envelope sender is the sender address itself names its message by the envelope id (RFC 3461), the Message-ID
and a trace field, one of which comes back whatever a server leaves out.
"""

import re
from collections.abc import Iterable
from contextlib import suppress
from datetime import date, datetime, timedelta

from mailpush.lib import tokens
from mailpush.mail.letter import Dsn

BOUNCES_ARRIVE_FOR = timedelta(days=60)
LOCAL_PART = re.compile(f"b-({tokens.TOKEN})", re.IGNORECASE)
MESSAGE_ID = re.compile(rf"<m\.({tokens.TOKEN})@[^>\s]+>", re.IGNORECASE)
NOT_XTEXT = re.compile(r"[^\x21-\x2a\x2c-\x3c\x3e-\x7e]")  # RFC 3461 section 4
TRACE_FIELD = "X-Mailpush-Trace"
PURPOSES = ("bounce", "message-id", "unsubscribe")


def trace(message_id: int, *, now: datetime) -> str:
    """Return the token that stands in the random address, the envelope id and the trace field."""
    return tokens.make("bounce", message_id, today=now.date())


def envelope_sender(token: str, *, domain: str) -> str:
    """Return the random address of the message that the token names (38 octets of local part)."""
    return f"b-{token}@{domain}"


def trace_field(token: str) -> bytes:
    """Return the header field that names the message where a relay has put a Message-ID of its own."""
    return f"{TRACE_FIELD}: {token}\r\n".encode()


def wishes(token: str, recipient: str) -> Dsn:
    """Return what to ask of servers that report (RFC 3461): name the message, and keep its body to yourselves."""
    original = f"rfc822;{NOT_XTEXT.sub(_xtext, recipient)}" if recipient.isascii() else ""
    return Dsn(ret="HDRS", envid=token, orcpt=original)


def _xtext(found: re.Match[str]) -> str:
    return f"+{ord(found[0]):02X}"


def message_of(address: str, *, now: datetime) -> int:
    """Return the id of the message whose random address this is.

    :raises tokens.BadToken: it is not one of ours, or too old.
    """
    found = LOCAL_PART.fullmatch(address.partition("@")[0])
    if not found:
        raise tokens.BadToken(address)
    return tokens.read("bounce", found[1], now=now, lasts=BOUNCES_ARRIVE_FOR)


def message_of_tokens(candidates: Iterable[str], *, now: datetime) -> int | None:
    """Return the id of the message that the first genuine one names; None where none is ours, or all are too old."""
    for token in candidates:
        for purpose in PURPOSES:
            with suppress(tokens.BadToken):
                return tokens.read(purpose, token, now=now, lasts=BOUNCES_ARRIVE_FOR)
    return None


def message_id_token(message_id: int, *, created_on: date) -> str:
    """Return the token of the Message-ID, the same at every attempt, so that receivers can drop a second copy."""
    return tokens.make("message-id", message_id, today=created_on)


def message_id_header(token: str, *, domain: str) -> str:
    return f"<m.{token}@{domain}>"


def message_of_message_id(header: str) -> int:
    """Return the id of the message with this Message-ID.

    :raises tokens.BadToken: it is not one of ours.
    """
    found = MESSAGE_ID.search(header)
    if not found:
        raise tokens.BadToken(header)
    return tokens.read("message-id", found[1])
