"""Unsubscribing through the link of a mail (RFC 8058), and taking it back.

Whoever has the link may: it is signed, names one message, and stands in that recipient's mail alone.
"""

from dataclasses import dataclass
from datetime import datetime

from django.db import transaction

from accounts import audit
from accounts.actors import Actor
from mailpush.lib import tokens
from mailpush.mail.addresses import parse
from recipients import suppression
from recipients.models import Suppression, SuppressionQuerySet
from sending import unsubscribe
from sending.models import Feedback, Message


@dataclass(frozen=True, slots=True)
class Subscription:
    """A recipient of an account's mail, as one of its messages names them; `scope` is how far an end reaches."""

    message: Message
    scope: Suppression.Scope
    scope_value: str

    @property
    def recipient(self) -> str:
        return self.message.recipient

    @property
    def sender(self) -> str:
        return self.message.content.sender.address

    @property
    def domain(self) -> str:
        return self.message.content.sender.domain.name


def find(token: str) -> Subscription:
    """Return whom the link is about.

    :raises BadToken: it is not one of ours, or its message has been deleted.
    """
    messages = Message.objects.select_related("account", "content__sender__domain")
    message = messages.filter(pk=unsubscribe.message_of(token)).first()
    if message is None:
        raise tokens.BadToken(token)
    return Subscription(message, *unsubscribe.reach(message.content))


@transaction.atomic
def end(subscription: Subscription, *, via: str, now: datetime) -> None:
    """Keep the sender from writing to the recipient; a second time changes nothing.

    :param via: how: `one-click`, `page` or `mail`.
    """
    unsubscribe.end(subscription.message, via=via, now=now)


@transaction.atomic
def restore(subscription: Subscription, *, now: datetime) -> bool:
    """Take an unsubscription back; return whether there was one. Other suppressions of the address stay."""
    if not _unsubscriptions(subscription).select_for_update().exists():
        return False
    message = subscription.message
    suppression.release(
        message.recipient, account=message.account, scope=subscription.scope, scope_value=subscription.scope_value
    )
    Feedback.note(message, Feedback.Kind.RESUBSCRIBED, via="page", at=now)
    audit.record(
        "recipient.subscribed_again",
        by=Actor.platform(message.account),
        target=message.recipient,
        message=message.pk,
    )
    return True


def has_ended(subscription: Subscription) -> bool:
    """Return whether the sender does not write to the recipient, for whatever reason."""
    return suppression.is_suppressed(
        subscription.recipient,
        account_id=subscription.message.account_id,
        domain=subscription.domain,
        sender=subscription.sender,
    )


def may_restore(subscription: Subscription) -> bool:
    return _unsubscriptions(subscription).exists()


def _unsubscriptions(subscription: Subscription) -> SuppressionQuerySet:
    return Suppression.objects.for_account(subscription.message.account).filter(
        address=parse(subscription.recipient).key,
        scope=subscription.scope,
        scope_value=subscription.scope_value,
        reason=Suppression.Reason.UNSUBSCRIBED,
    )
