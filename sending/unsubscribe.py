"""Unsubscribe links and addresses of batch mail (RFC 2369, RFC 8058): made and read here, and what they do.

How far an unsubscribe reaches is the sender address's setting, unless the order said otherwise: the sender
address, its domain, or the account.
"""

import re
from datetime import date, datetime

from django.conf import settings

from mailpush.lib import tokens
from mailpush.mail.submitted import fields as fields_of
from recipients import suppression
from recipients.models import Suppression
from senders.models import Stream
from sending.models import Content, Feedback, Message
from sending.models.content import NO_LINK

LOCAL_PART = re.compile(f"u-({tokens.TOKEN})", re.IGNORECASE)
ONE_CLICK = b"List-Unsubscribe-Post: List-Unsubscribe=One-Click\r\n"


def is_offered(content: Content, submitted_headers: bytes = b"") -> bool:
    """Tell whether its mails carry our link: batch mail does, unless it was ordered without or has one of its own."""
    own = any(field.name == b"list-unsubscribe" for field in fields_of(submitted_headers + b"\r\n")[0])
    return content.stream == Stream.BATCH and content.unsubscribe_scope != NO_LINK and not own


def header_fields(token: str, *, domain: str) -> bytes:
    """Return the fields for programs that unsubscribe: by POST (RFC 8058) or, where they prefer it, by mail."""
    text = f"List-Unsubscribe: <{_url(token)}>,\r\n <mailto:u-{token}@{domain}?subject=unsubscribe>\r\n"
    return text.encode() + ONE_CLICK


def token_of(message_id: int, *, today: date) -> str:
    """Return the token that stands in the link and in the mail address."""
    return tokens.make("unsubscribe", message_id, today=today)


def link(message_id: int, *, today: date) -> str:
    """Return the address of the page; a POST to it unsubscribes, a GET shows it."""
    return _url(token_of(message_id, today=today))


def _url(token: str) -> str:
    return f"{settings.MAILPUSH_PUBLIC_URL}/u/{token}"


def message_of(token: str) -> int:
    """Return the id of the message whose reader follows the link; it never expires (RFC 8058 section 3.1).

    :raises tokens.BadToken: it is not one of ours.
    """
    return tokens.read("unsubscribe", token)


def message_of_address(address: str) -> int:
    """Return the id of the message whose unsubscribe address this is.

    :raises tokens.BadToken: it is not one of ours.
    """
    found = LOCAL_PART.fullmatch(address.partition("@")[0])
    if not found:
        raise tokens.BadToken(address)
    return message_of(found[1])


def reach(content: Content) -> tuple[Suppression.Scope, str]:
    """Return how far an unsubscribe from a mail of this content reaches: the scope, and of what."""
    scope = Suppression.Scope.SENDER
    chosen = content.unsubscribe_scope or content.sender.unsubscribe_scope
    if chosen in Suppression.Scope.values:
        scope = Suppression.Scope(chosen)
    of = {Suppression.Scope.SENDER: content.sender.address, Suppression.Scope.DOMAIN: content.sender.domain.name}
    return scope, of.get(scope, "")


def end(message: Message, *, via: str, now: datetime) -> bool:
    """Keep who got the message from getting more; return False where that was so already."""
    scope, value = reach(message.content)
    is_new = suppression.suppress(
        message.recipient,
        account=message.account,
        reason=Suppression.Reason.UNSUBSCRIBED,
        scope=scope,
        scope_value=value,
        source=f"message {message.pk}",
        now=now,
    )
    if is_new:
        Feedback.note(message, Feedback.Kind.UNSUBSCRIBED, via=via, at=now)
    return is_new
