"""Posts: a mail that several people get alike, or one text with variables for a few of them.

They are stored as they will be sent, so their text may hold any braces and any HTML.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from uuid import uuid4

from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib import files
from mailpush.lib.refusals import Refusal
from mailpush.mail.compose import BadHeader, html_to_text
from mailpush.mail.post import Post, written
from senders.models import Sender, Tag
from sending import acceptance, bodies, checks
from sending.acceptance import Addressee, Submission
from sending.models import AddressType, Content
from sending.services import gathering
from sending.services.batches import SenderNotUsable
from sending.services.inline import Body, must_compile
from templates_app import rendering

ATTACHED_BYTES = 15 * 1024 * 1024  # of one mail, as DirectMail has it
TEXTS_KEPT = 256  # programs send the same HTML again and again


class BadPost(Refusal):
    """A name, address or field that no header can hold."""

    code = "bad_post"


class PostTooLarge(Refusal):
    code = "post_too_large"


class RecipientRefused(Refusal):
    """The sender's configuration set refuses what the examination of the address says."""

    code = "recipient_refused"


@dataclass(frozen=True, slots=True)
class Posting:
    """How something is sent: from whom, by which envelope sender, under which tag, from which of our addresses."""

    sender: Sender
    address_type: AddressType
    tag: Tag | None = None
    sender_name: str = ""
    reply_to: str = ""
    reply_to_name: str = ""
    source_ips: Sequence[str] = ()  # empty: as the sender's configuration set says, else the stream's
    unsubscribe_scope: str = ""  # empty: as the sender says
    is_tracked: bool = False


def send(
    post: Post, posting: Posting, *, recipients: Sequence[str], blind: Collection[str] = (), by: Actor, now: datetime
) -> Content:
    """Accept a post for its envelope recipients, blind copies among them; return what is sent.

    :param blind: those of the recipients who are never tracked.

    :raises SenderNotUsable: the sender may not send at present.
    :raises RecipientRefused: see `must_be_welcome`.
    :raises BadPost: a value would break out of the header.
    :raises PostTooLarge: the attachments have more than ATTACHED_BYTES.
    :raises StorageUnavailable: it is a large one, and could not be kept.
    :raises QuotaSpent: the account may not send that many.
    """
    by.must(Permission.WORK)
    must_be_usable(posting.sender)
    must_be_welcome(recipients, sender=posting.sender, now=now)
    if sum(len(attachment.content) for attachment in post.attachments) > ATTACHED_BYTES:
        raise PostTooLarge(
            _("The attachments have more than %(most)d MB together. Send a link to them instead.")
            % {"most": ATTACHED_BYTES // 2**20},
            field="attachments",
        )
    message_id = f"<{uuid4()}@{posting.sender.domain.name}>"
    whole = post if post.text else replace(post, text=_text_of(post.html))
    try:
        mime = written(whole, message_id=message_id, timestamp=now.timestamp())
    except BadHeader as problem:
        raise BadPost(str(problem)) from problem
    content = _content(posting, subject=post.subject, now=now)
    with files.refusing("attachments"):
        stored = bodies.store(mime)
    for name, value in stored.items():
        setattr(content, name, value)
    return _accepted(content, [Addressee(address) for address in recipients], blind=blind, now=now)


def send_to_each(
    body: Body,
    posting: Posting,
    *,
    recipients: Mapping[str, Mapping[str, str]],
    blind: Collection[str] = (),
    by: Actor,
    now: datetime,
) -> Content:
    """Accept one text for several recipients, each with the values of its variables.

    :param recipients: by address.
    :param blind: those of them who are never tracked.
    :raises SenderNotUsable: the sender may not send at present.
    :raises RecipientRefused: see `must_be_welcome`.
    :raises BadBraces: a brace belongs to no variable.
    :raises QuotaSpent: the account may not send that many.
    """
    by.must(Permission.WORK)
    must_be_usable(posting.sender)
    must_be_welcome(list(recipients), sender=posting.sender, now=now)
    must_compile(body)
    content = _content(posting, subject=body.subject, now=now)
    content.kind, content.html = Content.Kind.COMPOSED, body.html
    content.text = body.text or rendering.derive_text(body.html, allowed=None)
    addressees = [Addressee(address, dict(values)) for address, values in recipients.items()]
    return _accepted(content, addressees, blind=blind, now=now)


def must_be_usable(sender: Sender) -> None:
    """Refuse a sender that may not send at present.

    :raises SenderNotUsable: naming its domain, which is where to look.
    """
    if not sender.is_usable:
        raise SenderNotUsable(
            _("%(address)s may not send at present: see its domain %(domain)s.")
            % {"address": sender, "domain": sender.domain},
            field="sender",
        )


def must_be_welcome(recipients: Sequence[str], *, sender: Sender, now: datetime) -> None:
    """Examine recipients where the sender's configuration set wants it; no transaction may be open around this.

    :raises RecipientRefused: naming the first whose examination says what the set refuses.
    """
    chosen = sender.config_set
    if chosen is None or not chosen.is_validating:
        return
    for finding in checks.examine(recipients, account=sender.account, now=now):
        if finding.verdict in chosen.refused_statuses or finding.detail in chosen.refused_sub_statuses:
            raise RecipientRefused(
                _("%(address)s is refused by the configuration set %(name)s: %(status)s, %(detail)s.")
                % {
                    "address": finding.text,
                    "name": chosen,
                    "status": finding.verdict.value,
                    "detail": finding.detail,
                },
                field="recipient",
            )


def _accepted(content: Content, recipients: Sequence[Addressee], *, blind: Collection[str], now: datetime) -> Content:
    columns = {str(one.column): getattr(content, one.attname) for one in acceptance.CONTENT} | {"mime": content.mime}
    wanted = [Submission(content.sender, columns, recipients)]
    if content.is_tracked and blind:
        seen = [to for to in recipients if to.address not in blind]
        unseen = [to for to in recipients if to.address in blind]
        wanted = [Submission(content.sender, columns, seen)] if seen else []
        wanted.append(Submission(content.sender, columns | {"is_tracked": False}, unseen))
    gathering.accept(wanted, now=now)
    content.pk = wanted[0].content_id
    return content


def _content(posting: Posting, *, subject: str, now: datetime) -> Content:
    return Content(
        account=posting.sender.account,
        sender=posting.sender,
        tag=posting.tag,
        stream=posting.sender.stream,
        address_type=posting.address_type,
        sender_name=posting.sender_name,
        reply_to=posting.reply_to,
        reply_to_name=posting.reply_to_name,
        source_ips=",".join(posting.source_ips),
        unsubscribe_scope=posting.unsubscribe_scope,
        is_tracked=posting.is_tracked,
        subject=subject,
        created_at=now,
    )


@lru_cache(maxsize=TEXTS_KEPT)
def _text_of(html: str) -> str:
    """Return the text part of a post without one."""
    return html_to_text(html)
