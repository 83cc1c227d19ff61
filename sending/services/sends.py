"""Single sends of programs: one content, inline or of a template, to up to a thousand recipients."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, cast
from uuid import uuid4

from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.models import Account, Permission
from domains.models import Domain
from mailpush.lib import files
from mailpush.lib.brief import Brief
from mailpush.lib.refusals import Refusal
from mailpush.lib.rows import Joined
from mailpush.mail.variables import ADDRESS
from senders.models import Sender, Tag
from sending import bodies, mime
from sending.acceptance import Addressee, Submission, Taken
from sending.models import AddressType, Content
from sending.services import gathering
from sending.services.inline import Body, must_compile
from templates_app import rendering
from templates_app.models import Template

MOST_RECIPIENTS = 1000
FURTHEST = timedelta(days=30)
ATTACHED_BYTES = 15 * 1024 * 1024  # of one mail; what most receivers still take, with a third more for base64
STORED_BYTES = 64 * 1024 * 1024  # of one call: each recipient's mail holds its own attachments
DERIVED_KEPT = 256  # programs send the same HTML again and again


class UnknownSender(Refusal):
    code = "unknown_sender"


class SenderMayNotSend(Refusal):
    code = "sender_may_not_send"


class UnknownTag(Refusal):
    code = "unknown_tag"


class UnknownTemplate(Refusal):
    code = "unknown_template"


class NotYetApproved(Refusal):
    code = "template_not_yet_approved"


class BadTime(Refusal):
    code = "bad_time"


class AttachmentsTooLarge(Refusal):
    code = "attachments_too_large"


@dataclass(frozen=True, slots=True)
class Wanted:
    """A send as a program asks for it; `template` (an id) and `body` exclude each other.

    Braces of an inline body are variables where a recipient has any; else it is sent as it stands.
    """

    sender: str
    recipients: Sequence[Addressee]
    template: int | None = None
    body: Body | None = None
    sender_name: str | None = None
    reply_to: str | None = None
    tag: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    attachments: Sequence[mime.Attachment] = ()
    at: datetime | None = None
    is_tracked: bool = False


def send(wanted: Wanted, *, by: Actor, now: datetime) -> list[Taken]:
    """Accept the messages, in the order of their recipients; they are on their way when the transaction commits.

    :raises UnknownSender, SenderMayNotSend: the account has no such sender, or it may not send at present.
    :raises UnknownTag: the account has no such tag.
    :raises UnknownTemplate, NotYetApproved: the account has no such template, or nothing of it is approved.
    :raises BadBraces: the body's braces are not those of variables.
    :raises BadTime: the time has passed, or is more than 30 days away.
    :raises AttachmentsTooLarge: for one mail, or for all of them together.
    :raises StorageUnavailable: a large mail could not be kept.
    :raises QuotaSpent: the account may not send that many.
    """
    by.must(Permission.WORK)
    sender, body, columns = _content(wanted, by.account)
    if wanted.at is not None and not now < wanted.at <= now + FURTHEST:
        raise BadTime(_("Choose a time in the future, within %(days)d days.") % {"days": FURTHEST.days}, field="at")
    if not wanted.headers and not wanted.attachments:
        return gathering.accept([Submission(sender, columns, wanted.recipients, at=wanted.at)], now=now)
    _must_be_of_size(wanted)
    whole = list[Submission]()
    try:
        with files.refusing("attachments"):
            whole.extend(_whole(sender, body, columns, to, wanted, now=now) for to in wanted.recipients)
    except BaseException:
        for submission in whole:
            bodies.discard(submission.content)
        raise
    return gathering.accept(whole, now=now)


def _content(wanted: Wanted, account: Account) -> tuple[Sender, Body, dict[str, Any]]:
    """Return the sender, what is said, and all of it as columns of `Content`."""
    sender = _sender(wanted.sender, account)
    body, sender_name = _said(wanted, account)
    columns = {
        "tag_id": _tag(wanted.tag, account).pk if wanted.tag else None,
        "stream": sender.stream,
        "address_type": AddressType.RANDOM.value,
        "is_tracked": wanted.is_tracked,
        "kind": Content.Kind.COMPOSED.value,
        "sender_name": sender_name,
        "reply_to": sender.usable_reply_to if wanted.reply_to is None else wanted.reply_to,
        "subject": body.subject,
        "html": body.html,
        "text": body.text,
    }
    return sender, body, columns


SENDER = Joined(
    """
    SELECT {sender}, {domain} FROM senders_sender sender JOIN domains_domain domain ON domain.id = sender.domain_id
    WHERE sender.account_id = %s AND lower(sender.address) = %s AND sender.deleted_at IS NULL
    """,
    sender=Sender,
    domain=Domain,
)


_senders = Brief[Sender]()


def _sender(address: str, account: Account) -> Sender:
    """Return the sender; what is changed about it takes a second to reach all processes."""
    sender = _senders.of((account.pk, address.lower()), lambda: _looked_up(address, account))
    if sender is None:
        raise UnknownSender(
            _("%(address)s is not one of your sender addresses. Create it first.") % {"address": address},
            field="sender",
        )
    if not sender.is_usable:
        raise SenderMayNotSend(
            _("%(address)s may not send at present: see its domain %(domain)s.")
            % {"address": sender, "domain": sender.domain},
            field="sender",
        )
    return sender


def _looked_up(address: str, account: Account) -> Sender | None:
    found = SENDER.first(account.pk, address.lower())
    if found is None:
        return None
    sender, sender.domain = found
    sender.account = account  # read with the access key just now
    return cast("Sender", sender)


def _tag(name: str, account: Account) -> Tag:
    tag = Tag.objects.for_account(account).filter(name__iexact=name).first()
    if tag is None:
        raise UnknownTag(_("You have no tag “%(name)s”. Create it first.") % {"name": name}, field="tag")
    return tag


def _said(wanted: Wanted, account: Account) -> tuple[Body, str]:
    """Return the source of the mail and its sender's name."""
    if wanted.template is not None:
        return _of_template(wanted.template, wanted.sender_name, account)
    assert wanted.body
    body = wanted.body
    if any(to.variables for to in wanted.recipients):
        must_compile(body)
    else:
        body = Body(
            rendering.quoted(body.subject, is_html=False),
            rendering.quoted(body.html, is_html=True),
            rendering.quoted(body.text, is_html=False),
        )
    return replace(body, text=body.text or _derived(body.html)), wanted.sender_name or ""


def _of_template(pk: int, sender_name: str | None, account: Account) -> tuple[Body, str]:
    templates = Template.objects.for_account(account).without_bodies().select_related("approved")
    template = templates.filter(pk=pk).first()
    if template is None:
        raise UnknownTemplate(_("You have no template of this id."), field="template")
    version = template.approved
    if version is None:
        raise NotYetApproved(
            _("“%(name)s” has no approved version. Submit it for review first.") % {"name": template},
            field="template",
        )
    name = version.sender_name if sender_name is None else sender_name
    return Body(version.subject, version.html, version.text), name


@lru_cache(maxsize=DERIVED_KEPT)
def _derived(html: str) -> str:
    return rendering.derive_text(html, allowed=None)


# Attachments and header fields


def _must_be_of_size(wanted: Wanted) -> None:
    size = sum(len(file.content) for file in wanted.attachments)
    if size > ATTACHED_BYTES:
        raise AttachmentsTooLarge(
            _("The attachments have more than %(most)d MB together. Send a link to them instead.")
            % {"most": ATTACHED_BYTES // 2**20},
            field="attachments",
        )
    if size * len(wanted.recipients) > STORED_BYTES:
        raise AttachmentsTooLarge(
            _("Attachments times recipients come to more than %(most)d MB. Send to fewer recipients a call.")
            % {"most": STORED_BYTES // 2**20},
            field="attachments",
        )


def _whole(
    sender: Sender, body: Body, columns: dict[str, Any], to: Addressee, wanted: Wanted, *, now: datetime
) -> Submission:
    """Return one recipient's mail as a whole message."""
    values = {ADDRESS: to.address, **(to.variables or {})}
    parts = mime.Parts(
        subject=rendering.one_line(rendering.compile(body.subject, escape=False).render(values)),
        text=rendering.compile(body.text, escape=False).render(values),
        html=rendering.compile(body.html, escape=True).render(values),
        sender=sender.address,
        sender_name=columns["sender_name"],
        reply_to=columns["reply_to"],
        headers=wanted.headers,
        attachments=wanted.attachments,
    )
    message_id = f"<{uuid4()}@{sender.domain.name}>"
    raw = mime.written(parts, recipient=to.address, message_id=message_id, date=wanted.at or now)
    stored = columns | {"html": "", "text": "", "subject": parts.subject} | bodies.store(raw)
    return Submission(sender, stored, [to], at=wanted.at)
