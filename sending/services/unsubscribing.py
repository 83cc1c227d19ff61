"""Unsubscribing through the link of a mail (RFC 8058), and taking it back.

Whoever has the link may: it is signed, names one message, and stands in that recipient's mail alone.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from accounts.models import Account
from mailpush.lib import tokens
from mailpush.mail.addresses import parse
from recipients import suppression
from recipients.models import Suppression, SuppressionQuerySet
from sending import unsubscribe
from sending.models import Message


@dataclass(frozen=True, slots=True)
class Subscription:
    """A recipient of an account's mail, as one of its messages names them."""

    account: Account
    recipient: str
    sender: str
    message_id: int


def find(token: str) -> Subscription:
    """Return whom the link is about.

    :raises BadToken: it is not one of ours, or its message has been deleted.
    """
    message_id = unsubscribe.message_of(token)
    message = Message.objects.select_related("account", "content__sender").filter(pk=message_id).first()
    if message is None:
        raise tokens.BadToken(token)
    return Subscription(message.account, message.recipient, message.content.sender.address, message_id)


def end(subscription: Subscription, *, now: datetime) -> None:
    """Keep the account from writing to the recipient; a second time changes nothing."""
    suppression.suppress(
        subscription.recipient,
        account=subscription.account,
        reason=Suppression.Reason.UNSUBSCRIBED,
        source=f"message {subscription.message_id}",
        now=now,
    )


@transaction.atomic
def restore(subscription: Subscription) -> bool:
    """Take an unsubscription back; return whether there was one. Other suppressions of the address stay."""
    if not _unsubscriptions(subscription).select_for_update().exists():
        return False
    suppression.release(
        subscription.recipient, account=subscription.account, scope=Suppression.Scope.ACCOUNT, scope_value=""
    )
    audit.record(
        "recipient.subscribed_again",
        by=Actor.platform(subscription.account),
        target=subscription.recipient,
        message=subscription.message_id,
    )
    return True


def has_ended(subscription: Subscription) -> bool:
    """Return whether the account does not write to the recipient, for whatever reason."""
    return suppression.is_suppressed(subscription.recipient, account_id=subscription.account.pk)


def may_restore(subscription: Subscription) -> bool:
    return _unsubscriptions(subscription).exists()


def _unsubscriptions(subscription: Subscription) -> SuppressionQuerySet:
    return Suppression.objects.for_account(subscription.account).filter(
        address=parse(subscription.recipient).key,
        scope=Suppression.Scope.ACCOUNT,
        reason=Suppression.Reason.UNSUBSCRIBED,
    )
