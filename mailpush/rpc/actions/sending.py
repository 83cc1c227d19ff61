"""Sending: one letter to a few, a template or text to many, a test."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from uuid import NAMESPACE_OID, uuid5

from django.db.models import Q

from accounts.services import ip_protection
from mailpush.lib.brief import Brief
from mailpush.mail.addresses import BadAddress, parse
from mailpush.mail.post import Attachment, Post
from mailpush.rpc import errors, uploads
from mailpush.rpc.actions import ips
from mailpush.rpc.actions import senders as sender_actions
from mailpush.rpc.actions import templates as template_actions
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields
from mailpush.rpc.params import Params
from recipients.models import RecipientList
from senders.models import Sender, Stream, Tag, UnsubscribeScope
from sending.models import AddressType, Content
from sending.models.content import NO_LINK
from sending.services import batches, posts
from sending.services.inline import Body
from sending.services.posts import Posting
from templates_app.models import ApprovedVersion, Template

MOST_RECIPIENTS = 100
MOST_BLIND = 2
MOST_HEADERS = 10  # further ones are ignored, as DirectMail has it
LONGEST_SUBJECT = 256
LONGEST_NAME = 64
BODY_BYTES = 9 * 1024 * 1024
ADDRESS_TYPES = {0: AddressType.RANDOM, 1: AddressType.SENDER}
OWN_HEADERS = frozenset({"message-id", "list-unsubscribe", "list-unsubscribe-post"})
OWN_HEADER_PREFIX = "x-user-"
LINK_TYPES = {"default": "", "disabled": NO_LINK, "zh-cn": "", "en-us": ""}  # the page speaks its reader's language
# How far an unsubscribe reaches. That nobody is heeded (`disabled`) is not to be had.
FILTER_LEVELS = {
    "default": "",
    "disabled": "",
    "mailfrom": UnsubscribeScope.SENDER.value,
    "mailfrom_domain": UnsubscribeScope.DOMAIN.value,
    "edm_id": UnsubscribeScope.ACCOUNT.value,
}


def single_send_mail(caller: Caller, params: Params) -> Fields:
    """Send a letter that all its recipients get alike, or each of them a template."""
    posting = _posting(caller, params)
    to = _addresses(params.text("ToAddress"), "ToAddress", most=MOST_RECIPIENTS)
    blind = _addresses(params.text("BccAddress", ""), "BccAddress", most=MOST_BLIND)
    if template := params.json_object("Template"):
        content = _send_template(caller, posting, template, to, blind)
    else:
        post = _post(caller, params, posting, to)
        recipients = _once([*to, *blind])
        content = posts.send(post, posting, recipients=recipients, blind=blind, by=caller.by, now=caller.now)
    return {"EnvId": str(content.pk)}


def batch_send_mail(caller: Caller, params: Params) -> Fields:
    """Send to a recipient list, named by its name or its alias address, or to recipients given with the call."""
    posting = _posting(caller, params)
    if params.has("ReceiversName"):
        return {"EnvId": str(_order(caller, params, posting))}
    receivers = _receivers(params)
    if params.has("TemplateName"):
        version = _approved(_template_named(caller, params.text("TemplateName")))
        body = Body(version.subject, version.html, version.text)
        posting = replace(posting, sender_name=posting.sender_name or version.sender_name)
    else:
        body, alias = _inline(params)
        posting = replace(posting, sender_name=alias)
    content = posts.send_to_each(body, posting, recipients=receivers, by=caller.by, now=caller.now)
    return {"EnvId": str(content.pk)}


def send_test_by_template(caller: Caller, params: Params) -> Fields:
    ip_protection.must_be_allowed(caller.account, caller.by.ip)
    template = template_actions.own(caller, params)
    values = {name: params.text(name, "", most=30) for name in ("UserName", "NickName", "Gender", "Birthday", "Mobile")}
    values |= _values(params.json_object("TemplateParams"), "TemplateParams")
    (address,) = _addresses(params.text("Email"), "Email", most=1)
    sender = _sender(caller, params.text("AccountName"))
    version = _approved(template)
    posts.send_to_each(
        Body(version.subject, version.html, version.text),
        Posting(sender, AddressType.RANDOM, sender_name=version.sender_name, reply_to=sender.usable_reply_to),
        recipients={address: values},
        by=caller.by,
        now=caller.now,
    )
    return {}


# How


def _posting(caller: Caller, params: Params) -> Posting:
    """Read what all kinds of sending have in common."""
    ip_protection.must_be_allowed(caller.account, caller.by.ip)
    address = params.text("AccountName")
    address_type = ADDRESS_TYPES[params.number("AddressType", highest=1)]
    sender = _sender(caller, address, may_be_new=params.flag("DomainAuth", default=False))
    link, scope = (
        _one_of(params, "UnSubscribeLinkType", LINK_TYPES),
        _one_of(params, "UnSubscribeFilterLevel", FILTER_LEVELS),
    )
    return Posting(
        sender=sender,
        address_type=address_type,
        tag=_tag(caller, params.text("TagName", "")),
        sender_name=_name(params, "FromAlias"),
        reply_to=_reply_to(params, sender),
        reply_to_name=_name(params, "ReplyAddressAlias") if params.has("ReplyAddress") else "",
        source_ips=ips.own_pool(caller, params.text("IpPoolId")).ips if params.has("IpPoolId") else (),
        unsubscribe_scope=link or scope,
        is_tracked=bool(_one_of(params, "ClickTrace", {"0": "", "1": "tracked"}, usual="0")),
    )


# Sender addresses with their domains, asked for by every call.
known_senders: Brief[Sender] = Brief()


def _sender(caller: Caller, address: str, *, may_be_new: bool = False) -> Sender:
    """Return the sender address; with domain-level authentication one that is new is made on the spot."""
    wanted = address.strip().lower()
    sender = known_senders.of((caller.account.pk, wanted), lambda: _own_sender(caller, wanted))
    if sender is None and may_be_new:
        whole = wanted if "@" in wanted else f"{Sender.DOMAIN_LOGIN}@{wanted}"
        sender = _own_sender(caller, whole) or sender_actions.create(caller, whole, stream=Stream.TRIGGER)
    if sender is None:
        raise errors.not_found("MailAddress", f"The specified mail address is not found: {address[:80]}.")
    sender.account = caller.account  # it came with the access key just now
    return sender


def _own_sender(caller: Caller, address: str) -> Sender | None:
    rows = Sender.objects.for_account(caller.account).select_related("domain", "config_set__pool")
    return rows.filter(address=address).first()


def _reply_to(params: Params, sender: Sender) -> str:
    if params.has("ReplyAddress"):
        (address,) = _addresses(params.text("ReplyAddress"), "ReplyAddress", most=1, kind="Malformed")
        return address
    if not params.flag("ReplyToAddress", default=True):
        return ""
    if params.has("ReplyToAddress") and sender.reply_to and not sender.usable_reply_to:
        sentence = f"The reply address {sender.reply_to} is not confirmed yet: open the link that was mailed to it."
        raise errors.not_valid("ReplyAddress", sentence, kind="NotVerified")
    return sender.usable_reply_to


def _name(params: Params, parameter: str) -> str:
    name = params.text(parameter, "", most=LONGEST_NAME).strip()
    if not name.isprintable():
        raise errors.not_valid(parameter, f"{parameter} must be printable, on one line.", kind="Malformed")
    return name


def _tag(caller: Caller, name: str) -> Tag | None:
    if not name:
        return None
    tag = Tag.objects.for_account(caller.account).filter(name__iexact=name).first()
    if tag is None:
        raise errors.not_found("Tag", f"You have no tag {name[:80]}: create it first.")
    return tag


def _one_of(params: Params, name: str, known: Mapping[str, str], usual: str = "default") -> str:
    """Return what one of several words stands for."""
    value = params.text(name, usual).lower()
    if value not in known:
        raise errors.not_valid(name, f"{name} is one of {', '.join(sorted(known))}.", kind="Malformed")
    return known[value]


# To whom


def _addresses(text: str, name: str, *, most: int, kind: str = "") -> list[str]:
    """Read addresses between commas; the same one twice counts once."""
    found = dict[str, str]()
    for part in filter(None, (part.strip() for part in text.replace(";", ",").split(","))):
        try:
            address = parse(part)
        except BadAddress as problem:
            raise errors.not_valid(name, f"{part[:80]} is not an e-mail address. {problem}", kind=kind) from problem
        found.setdefault(address.key, str(address))
    if len(found) > most or (text and not found):
        raise errors.not_valid(name, f"{name} has 1 to {most} addresses, with commas between them.", kind=kind)
    return list(found.values())


def _once(addresses: list[str]) -> list[str]:
    return list({address.lower(): address for address in addresses}.values())


def _receivers(params: Params) -> dict[str, dict[str, str]]:
    """Read `[{"To": ["a@b"], "TemplateData": {"UserName": "Tom"}}]`."""
    rows = params.json("Receivers")
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise errors.not_valid("Receivers", "Receivers must be a JSON array of objects.", kind="Malformed")
    found: dict[str, tuple[str, dict[str, str]]] = {}
    for row in rows:
        given = row.get("To")
        to = given if isinstance(given, list) else [given]
        values = _values(row.get("TemplateData") or {}, "TemplateData")
        for each in to:
            for address in _addresses(str(each or ""), "Receivers", most=MOST_RECIPIENTS, kind="Malformed"):
                found[address.lower()] = address, values
    if not 1 <= len(found) <= MOST_RECIPIENTS:
        raise errors.not_valid("Receivers", f"Receivers names 1 to {MOST_RECIPIENTS} recipients.", kind="Malformed")
    return dict(found.values())


def _values(given: Any, name: str) -> dict[str, str]:
    if not isinstance(given, Mapping):
        raise errors.not_valid(name, f"{name} must be a JSON object.", kind="Malformed")
    return {str(key): value if isinstance(value, str) else _shown(value) for key, value in given.items()}


def _shown(value: object) -> str:
    return "" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


# What


def _post(caller: Caller, params: Params, posting: Posting, to: list[str]) -> Post:
    subject = params.text("Subject", most=LONGEST_SUBJECT)
    if not subject.strip() or not subject.isprintable():
        raise errors.not_valid("Subject", "A subject is printable, on one line.", kind="Malformed")
    html, text = params.text("HtmlBody", ""), params.text("TextBody", "")
    _must_be_a_body(html, text)
    return Post(
        sender=posting.sender.address,
        to=to,
        subject=subject,
        text=text,
        html=html,
        sender_name=posting.sender_name,
        reply_to=posting.reply_to,
        reply_to_name=posting.reply_to_name,
        headers=_headers(params),
        attachments=_attachments(caller, params),
    )


def _must_be_a_body(html: str, text: str) -> None:
    if not html.strip() and not text.strip():
        raise errors.not_valid("Body", "Give HtmlBody, TextBody or both.")
    if len(html.encode()) > BODY_BYTES or len(text.encode()) > BODY_BYTES:
        raise errors.not_valid("Body", "A body has at most 8 MB.")


def _headers(params: Params) -> dict[str, str]:
    """Read the header fields a sender adds: three known ones, and `X-User-…`."""
    headers = dict[str, str]()
    for name, value in list(params.json_object("Headers").items())[:MOST_HEADERS]:
        is_ours = name.lower() in OWN_HEADERS or name.lower().startswith(OWN_HEADER_PREFIX)
        if not is_ours or not isinstance(value, str):
            sentence = (
                f"{name[:80]} cannot be set: Message-ID, List-Unsubscribe, List-Unsubscribe-Post and X-User-… can."
            )
            raise errors.not_valid("Headers", sentence, kind="Malformed")
        headers[name] = value
    if len({name.lower() for name in headers}) < len(headers):
        raise errors.not_valid("Headers", "A header field stands there twice.", kind="Malformed")
    return headers


def _attachments(caller: Caller, params: Params) -> list[Attachment]:
    """Read the files, no more than it takes for `posts.send` to refuse them: one upload may be named many times."""
    found = list[Attachment]()
    size = 0
    for each in params.items("Attachments"):
        if size > posts.ATTACHED_BYTES:
            break
        name, url = each.text("AttachmentName", most=255), each.text("AttachmentUrl")
        found.append(Attachment(name, uploads.content_at(url, account=caller.account)))
        size += len(found[-1].content)
    return found


def _inline(params: Params) -> tuple[Body, str]:
    """Read `TemplateContent`: a text with variables, and the sender's name."""
    given = params.json_object("TemplateContent")
    if not given:
        raise errors.missing("TemplateName")
    subject, html, text, alias = (_shown(given.get(name)) for name in ("Subject", "HtmlBody", "TextBody", "Alias"))
    if not subject.strip() or len(subject) > LONGEST_SUBJECT or not subject.isprintable():
        raise errors.not_valid("Subject", "A subject has 1 to 256 printable characters, on one line.", kind="Malformed")
    _must_be_a_body(html, text)
    if len(alias) > LONGEST_NAME or not alias.isprintable():
        sentence = f"A sender's name has at most {LONGEST_NAME} printable characters."
        raise errors.not_valid("FromAlias", sentence, kind="Malformed")
    return Body(subject, html, text), alias


def _send_template(caller: Caller, posting: Posting, given: dict[str, Any], to: list[str], blind: list[str]) -> Content:
    values = _values(given.get("TemplateData") or {}, "TemplateData")
    template_id = Params({"TemplateId": _shown(given.get("TemplateId"))})
    version = _approved(template_actions.own(caller, template_id))
    return posts.send_to_each(
        Body(version.subject, version.html, version.text),
        replace(posting, sender_name=posting.sender_name or version.sender_name),
        recipients=dict.fromkeys(_once([*to, *blind]), values),
        blind=blind,
        by=caller.by,
        now=caller.now,
    )


def _approved(template: Template) -> ApprovedVersion:
    if template.approved is None:
        sentence = f"{template.name} has no approved version: a reviewer has to approve it first."
        raise errors.not_valid("TemplateStatus", sentence, kind="NotApproved")
    return template.approved


def _template_named(caller: Caller, name: str) -> Template:
    rows = Template.objects.for_account(caller.account).without_bodies().select_related("approved")
    template = rows.filter(name__iexact=name).first()
    if template is None:
        raise errors.not_found("Template", f"You have no template {name[:80]}.")
    return template


def _order(caller: Caller, params: Params, posting: Posting) -> int:
    """Order a batch; a list is sent reviewed templates only. The same ClientToken twice is one batch."""
    name = params.text("ReceiversName")
    lists = RecipientList.objects.for_account(caller.account)
    to = lists.filter(Q(name__iexact=name) | Q(alias=name.lower())).first()
    if to is None:
        raise errors.not_found("Receiver", f"You have no recipient list {name[:80]}.")
    token = params.text("ClientToken", "", most=64)
    batch = batches.order(
        batches.Order(
            list=to,
            template=_template_named(caller, params.text("TemplateName")),
            sender=posting.sender,
            address_type=posting.address_type,
            tag=posting.tag,
            reply_to=posting.reply_to if params.has("ReplyAddress") else "",
            reply_to_name=posting.reply_to_name,
            source_ips=posting.source_ips,
            unsubscribe_scope=posting.unsubscribe_scope,
            is_tracked=posting.is_tracked,
            key=uuid5(NAMESPACE_OID, f"{caller.account.pk}:{token}") if token else None,
        ),
        by=caller.by,
        now=caller.now,
    )
    return batch.content_id
