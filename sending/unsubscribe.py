"""Unsubscribe links of batch mail (RFC 8058): made and read here."""

from datetime import date

from django.conf import settings

from mailpush.lib import tokens


def link(message_id: int, *, today: date) -> str:
    """Return the address for List-Unsubscribe; a POST to it unsubscribes, a GET shows a page."""
    return f"{settings.MAILPUSH_PUBLIC_URL}/u/{tokens.make('unsubscribe', message_id, today=today)}"


def message_of(token: str) -> int:
    """Return the id of the message whose reader follows the link; it never expires (RFC 8058 section 3.1).

    :raises tokens.BadToken: it is not one of ours.
    """
    return tokens.read("unsubscribe", token)
