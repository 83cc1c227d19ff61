"""Which addresses of customers' domains take mail, and for what; everybody else is told at RCPT that there is none."""

import re
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings

from accounts.models import Account
from domains.models import Domain
from mailpush.lib import tokens
from senders.models import Sender
from sending import return_path, unsubscribe
from sending.models import Returned

POST_OFFICE = frozenset({"postmaster", "abuse"})  # RFC 5321 section 4.5.1, RFC 2142
COMPLAINTS = "fbl"
# Who writes bounces without keeping to the null sender (RFC 3464 section 2).
DAEMON = re.compile(r"(mailer-daemon|postmaster|mdaemon)@.*", re.IGNORECASE)


class NotHere(Exception):
    """No mail is taken for this address; the text is fit for an SMTP reply, enhanced code first."""


@dataclass(frozen=True, slots=True)
class Box:
    """An address that takes mail: what for, and whose it is."""

    kind: Returned.Mailbox
    account_id: int | None = None
    message_id: int | None = None


def signed(address: str, *, mail_from: str, now: datetime) -> Box | None:
    """Return the box of an address that carries our signature, without asking the database; None for others.

    :raises NotHere: it is one, but nothing may come to it.
    """
    if return_path.LOCAL_PART.fullmatch(address.partition("@")[0]):
        try:
            message_id = return_path.message_of(address, now=now)
        except tokens.BadToken as error:
            raise NotHere("5.1.1 This return address is not ours, or too old") from error
        return Box(Returned.Mailbox.RETURN_PATH, message_id=message_id)
    if unsubscribe.LOCAL_PART.fullmatch(address.partition("@")[0]):
        try:
            message_id = unsubscribe.message_of_address(address)
        except tokens.BadToken as error:
            raise NotHere("5.1.1 This unsubscribe address is not ours") from error
        if not mail_from:
            raise NotHere("5.7.1 This address takes no reports, only wishes to unsubscribe")
        return Box(Returned.Mailbox.UNSUBSCRIBE, message_id=message_id)
    return None


def find(address: str, *, mail_from: str) -> Box:
    """Return the box of an address that rows tell of.

    :raises NotHere: nobody has it, or it only sends.
    """
    local, _, domain = address.lower().partition("@")
    if (role := local.partition("+")[0]) in {*POST_OFFICE, COMPLAINTS} and (box := _role(role, domain)):
        return box
    sender = Sender.objects.select_related("account", "domain").filter(address=address.lower()).order_by("-pk").first()
    if sender is None:
        raise NotHere("5.1.1 No such mailbox here: this server takes reports of mail it has sent, and no other")
    if not mail_from or DAEMON.fullmatch(mail_from):
        return Box(Returned.Mailbox.SENDER, sender.account_id)
    if sender.forwards_replies and sender.usable_reply_to and sender.is_usable:
        return Box(Returned.Mailbox.REPLY, sender.account_id)
    if sender.usable_reply_to:
        raise NotHere(f"5.7.1 {sender.address} only sends. Write to {sender.usable_reply_to} instead")
    raise NotHere(f"5.7.1 {sender.address} only sends: nobody reads what is written to it")


def _role(role: str, domain: str) -> Box | None:
    """Return the box of a role: of a proved domain, or of the platform itself."""
    kind = Returned.Mailbox.COMPLAINTS if role == COMPLAINTS else Returned.Mailbox.POST_OFFICE
    if domain in {"", settings.MAILPUSH_MAIL_HOST, settings.PUBLIC_HOST}:
        platform = Account.objects.filter(is_platform=True).first()
        return Box(kind, platform.pk if platform else None)
    proved = Domain.objects.filter(name=domain, deleted_at=None).exclude(status=Domain.Status.UNVERIFIED).first()
    return Box(kind, proved.account_id) if proved else None
