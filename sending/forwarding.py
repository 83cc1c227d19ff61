"""Mail for people that came to a sending domain, sent on as an attachment of a mail of ours.

The envelope, From and signature are the platform's, so that nobody's DMARC is hurt and whatever comes back is
ours to swallow; the original goes along unchanged, as a file.
"""

from dataclasses import dataclass

from django.conf import settings
from django.core.mail import EmailMessage
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.models import Role, User
from mailpush.mail.addresses import BadAddress, parse
from mailpush.mail.bounces import own_words
from mailpush.mail.parts import Header, Part, parts
from senders.models import Sender
from sending.models import Returned

MARK = "X-Mailpush-Forwarded"
MOST_PEOPLE = 10
LONGEST_TEXT = 20_000  # characters of it in our mail; all of it is in the file


@dataclass(frozen=True, slots=True)
class Reader:
    """Who gets it, and in which language."""

    address: str
    language: str


def send_on(returned: Returned) -> bool:
    """Mail it to whom it concerns; return False where that is nobody, or it has gone round in a circle."""
    found = parts(bytes(returned.mime))
    if MARK.lower() in found[0].header:
        return False
    readers = _readers(returned)
    for reader in readers:
        with translation.override(reader.language or settings.LANGUAGE_CODE):
            _mail(returned, found, reader).send()
    return bool(readers)


def _readers(returned: Returned) -> list[Reader]:
    account = returned.account
    if account is None or account.is_platform:
        operators = User.objects.filter(is_superuser=True, is_active=True).order_by("pk")[:MOST_PEOPLE]
        return [Reader(user.email, user.language) for user in operators]
    if returned.mailbox == Returned.Mailbox.REPLY:
        sender = Sender.objects.for_account(account).filter(address=returned.rcpt_to.lower()).first()
        return [Reader(sender.usable_reply_to, "")] if sender and sender.usable_reply_to else []
    owners = account.memberships.filter(role=Role.OWNER, user__is_active=True)
    return [Reader(each.user.email, each.user.language) for each in owners.select_related("user")[:MOST_PEOPLE]]


def _mail(returned: Returned, found: list[Part], reader: Reader) -> EmailMessage:
    header = found[0].header
    author = _one_line(header.readable("from")) or returned.mail_from
    subject = _one_line(header.readable("subject"))[:200]
    text = _("%(author)s wrote to %(address)s. The mail as it came is attached; this is its text:") % {
        "author": author,
        "address": returned.rcpt_to,
    }
    mail = EmailMessage(
        subject=f"[{returned.rcpt_to}] {subject}".strip(),
        body=f"{text}\n\n{own_words(found)[:LONGEST_TEXT]}",
        to=[reader.address],
        reply_to=_reply_to(header, returned),
        headers={MARK: "1", "Auto-Submitted": "auto-generated"},  # RFC 3834: no auto-reply to it
    )
    mail.attach("mail.eml", bytes(returned.mime), "application/octet-stream")
    return mail


def _reply_to(header: Header, returned: Returned) -> list[str]:
    """Return whom an answer should reach: the first address that its author gives."""
    for text in (header["reply-to"], header["from"], returned.mail_from):
        bare = text.rpartition("<")[2].partition(">")[0] if "<" in text else text
        try:
            return [str(parse(bare))]
        except BadAddress:
            continue
    return []


def _one_line(text: str) -> str:
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())
