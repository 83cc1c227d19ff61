"""What becomes of readers' answers to a sender address: their replies, and their wishes to get no more."""

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from senders.models import Sender, UnsubscribeScope


class NoReplyAddress(Refusal):
    """Nobody has confirmed a reply address, so replies could be sent on to nobody."""

    code = "no_reply_address"


class UnknownScope(Refusal):
    code = "unknown_unsubscribe_scope"


@transaction.atomic
def change(sender: Sender, *, forwards_replies: bool, unsubscribe_scope: str, by: Actor) -> None:
    """Say whether replies to the sender address go on to its reply address, and how far an unsubscribe reaches.

    :raises NoReplyAddress: replies cannot go on: no reply address is confirmed.
    :raises UnknownScope: neither `sender`, `domain` nor `account`.
    """
    by.must(Permission.WORK)
    if unsubscribe_scope not in UnsubscribeScope.values:
        raise UnknownScope(_("The scope is sender, domain or account."), field="unsubscribe_scope")
    sender = Sender.objects.select_for_update(no_key=True).get(pk=sender.pk)
    if forwards_replies and not sender.usable_reply_to:
        raise NoReplyAddress(
            _("Set a reply address and have it confirmed first: that is where replies are sent on to."),
            field="forwards_replies",
        )
    before = {"forwards_replies": sender.forwards_replies, "unsubscribe_scope": sender.unsubscribe_scope}
    sender.forwards_replies, sender.unsubscribe_scope = forwards_replies, unsubscribe_scope
    sender.save(update_fields=["forwards_replies", "unsubscribe_scope"])
    audit.record("sender.answers_changed", by=by, target=sender, before=before)
