"""Addresses and ids that name a message to whoever sends something back: made here, read here.

The *random address* of the manual is the envelope sender `b-<token>@<customer's domain>`: signed, so
that nobody can bounce a message that was never sent, and valid for as long as bounces arrive.
"""

import re
from datetime import datetime, timedelta

from mailpush.lib import tokens

BOUNCES_ARRIVE_FOR = timedelta(days=60)
LOCAL_PART = re.compile(f"b-({tokens.TOKEN})", re.IGNORECASE)
MESSAGE_ID = re.compile(rf"<m\.({tokens.TOKEN})@[^>\s]+>", re.IGNORECASE)


def envelope_sender(message_id: int, *, domain: str, now: datetime) -> str:
    """Return the random address of a message (38 octets of local part)."""
    return f"b-{tokens.make('bounce', message_id, today=now.date())}@{domain}"


def message_of(address: str, *, now: datetime) -> int:
    """Return the id of the message whose random address this is.

    :raises tokens.BadToken: it is not one of ours, or too old.
    """
    found = LOCAL_PART.fullmatch(address.partition("@")[0])
    if not found:
        raise tokens.BadToken(address)
    return tokens.read("bounce", found[1], now=now, lasts=BOUNCES_ARRIVE_FOR)


def message_id_header(message_id: int, *, domain: str, created_at: datetime) -> str:
    """Return the Message-ID, the same at every attempt, so that receivers can drop a second copy."""
    return f"<m.{tokens.make('message-id', message_id, today=created_at.date())}@{domain}>"


def message_of_message_id(header: str) -> int:
    """Return the id of the message with this Message-ID.

    :raises tokens.BadToken: it is not one of ours.
    """
    found = MESSAGE_ID.search(header)
    if not found:
        raise tokens.BadToken(header)
    return tokens.read("message-id", found[1])
