"""Reply addresses: usable once whoever reads their mail has said yes.

The link in the mail carries a signed token; opening it only shows a button, because link scanners open
links too.
"""

from datetime import datetime, timedelta

from django.conf import settings
from django.core import signing
from django.core.mail import send_mail
from django.db import transaction
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission, Role
from domains.models import Domain
from mailpush.lib.refusals import Refusal
from mailpush.mail import addresses
from senders.models import REPLY_ADDRESS_LENGTH, Sender

LINK_LASTS = timedelta(days=3)
ASK_AGAIN_AFTER = timedelta(minutes=1)
SALT = "senders.reply_address"


class BadReplyAddress(Refusal):
    code = "bad_reply_address"


class NoMailboxThere(Refusal):
    """Its domain's MX is ours, and we keep no mailboxes."""

    code = "reply_address_without_mailbox"


class AskedJustNow(Refusal):
    code = "reply_address_asked_just_now"


class NothingToConfirm(Refusal):
    code = "reply_address_nothing_to_confirm"


class LinkNotValid(Refusal):
    """Forged, expired, or for an address that was changed since."""

    code = "reply_address_link_not_valid"


def well_formed(text: str) -> str:
    """Return the reply address as it is kept; empty text is none.

    :raises BadReplyAddress: it is no address, or longer than 60 characters.
    :raises NoMailboxThere: replies would come to this platform, where nobody reads them.
    """
    if not text.strip():
        return ""
    try:
        address = addresses.parse(text)
    except addresses.BadAddress as error:
        raise BadReplyAddress(
            _("“%(text)s” is not an e-mail address.") % {"text": text.strip()[:100]}, field="reply_to"
        ) from error
    if len(str(address)) > REPLY_ADDRESS_LENGTH:
        raise BadReplyAddress(
            _("A reply address has at most %(limit)s characters.") % {"limit": REPLY_ADDRESS_LENGTH}, field="reply_to"
        )
    if Domain.objects.usable().filter(name=address.domain).exists():
        raise NoMailboxThere(
            _(
                "Mail to %(domain)s comes to this platform, which keeps no mailboxes, so nobody would read the "
                "replies. Give an address elsewhere."
            )
            % {"domain": address.domain},
            field="reply_to",
        )
    return str(address)


@transaction.atomic
def change(sender: Sender, reply_to: str, *, by: Actor, now: datetime) -> None:
    """Set another reply address and mail it the link; empty text removes the present one.

    :raises BadReplyAddress: see `well_formed`.
    :raises NoMailboxThere: see `well_formed`.
    :raises AskedJustNow: a link was mailed within the last minute.
    """
    by.must(Permission.WORK)
    wanted = well_formed(reply_to)
    sender = Sender.objects.select_for_update(no_key=True).get(pk=sender.pk)
    if wanted == sender.reply_to:
        return
    sender.reply_to, sender.reply_to_verified_at = wanted, None
    if wanted:
        ask(sender, now=now)
    sender.save(update_fields=["reply_to", "reply_to_verified_at", "reply_to_asked_at"])
    audit.record("sender.reply_address_changed", by=by, target=sender, reply_to=wanted)


@transaction.atomic
def resend(sender: Sender, *, by: Actor, now: datetime) -> None:
    """Mail the link once more.

    :raises NothingToConfirm: there is no reply address, or it is confirmed.
    :raises AskedJustNow: a link was mailed within the last minute.
    """
    by.must(Permission.WORK)
    sender = Sender.objects.select_for_update(no_key=True).get(pk=sender.pk)
    if not sender.reply_to or sender.reply_to_verified_at:
        raise NothingToConfirm(_("There is no reply address that waits to be confirmed."))
    ask(sender, now=now)
    sender.save(update_fields=["reply_to_asked_at"])


def ask(sender: Sender, *, now: datetime) -> None:
    """Mail the link to the sender's reply address, in this transaction; the caller saves `reply_to_asked_at`.

    :raises AskedJustNow: a link was mailed within the last minute.
    """
    if sender.reply_to_asked_at and now < sender.reply_to_asked_at + ASK_AGAIN_AFTER:
        raise AskedJustNow(
            _("A link was mailed less than a minute ago. Wait a moment, and look into the spam folder too.")
        )
    sender.reply_to_asked_at = now
    url = settings.MAILPUSH_PUBLIC_URL + reverse("senders:reply-confirm", args=[token_for(sender)])
    context = {"sender": sender, "account": sender.account, "url": url, "days": LINK_LASTS.days}
    subject = render_to_string("senders/mail/reply_address_subject.txt", context)
    body = render_to_string("senders/mail/reply_address.txt", context)
    send_mail(" ".join(subject.split()), body, None, [sender.reply_to])


def token_for(sender: Sender) -> str:
    return signing.dumps([sender.pk, sender.reply_to], salt=SALT)


def find(token: str) -> Sender:
    """Return the sender whose reply address the link confirms; nothing changes.

    :raises LinkNotValid: the token is forged or expired, or the address is another by now.
    """
    try:
        pk, reply_to = signing.loads(token, salt=SALT, max_age=LINK_LASTS)
    except signing.BadSignature as error:
        raise _not_valid() from error
    sender = Sender.objects.select_related("account").filter(pk=pk, reply_to=reply_to, deleted_at=None).first()
    if sender is None:
        raise _not_valid()
    return sender


@transaction.atomic
def confirm(token: str, *, now: datetime, ip: str | None = None) -> Sender:
    """Make the reply address usable.

    :raises LinkNotValid: see `find`.
    """
    sender = find(token)
    waiting = Sender.objects.filter(pk=sender.pk, reply_to=sender.reply_to, reply_to_verified_at=None, deleted_at=None)
    if waiting.update(reply_to_verified_at=now):
        sender.reply_to_verified_at = now
        owner = Actor(account=sender.account, name=sender.reply_to, role=Role.VIEWER, ip=ip)
        audit.record("sender.reply_address_confirmed", by=owner, target=sender, reply_to=sender.reply_to)
    return sender


def _not_valid() -> LinkNotValid:
    return LinkNotValid(
        _("This link is not valid any more. Whoever set the reply address can have a new one mailed to you.")
    )
