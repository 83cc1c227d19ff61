"""Sender addresses."""

from accounts import quotas
from domains.models import Domain
from mailpush.mail.addresses import BadDomain, to_ascii_domain
from mailpush.rpc import errors
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, failed, minute, paged
from mailpush.rpc.params import Params
from senders.models import Sender, Stream
from senders.services import reply_addresses, senders

LONGEST_ADDRESS = 60


def create_mail_address(caller: Caller, params: Params) -> Fields:
    sender = create(
        caller,
        params.text("AccountName", most=LONGEST_ADDRESS),
        stream=_stream(params),
        reply_to=params.text("ReplyAddress", ""),
    )
    return {"MailAddressId": str(sender.pk)}


def create(caller: Caller, address: str, *, stream: str, reply_to: str = "") -> Sender:
    """Create a sender from its whole address; its domain must be the account's."""
    local, _at, name = address.strip().rpartition("@")
    if not local:
        raise errors.not_valid("MailAddressName", f"{address} is not an e-mail address.", kind="Malformed")
    try:
        name = to_ascii_domain(name)
    except BadDomain as error:
        raise errors.not_valid("MailAddressDomain", str(error), kind="Malformed") from error
    domain = Domain.objects.for_account(caller.account).filter(name=name).first()
    if domain is None:
        raise errors.not_found("Domain", f"{name} is not one of your domains: create and verify it first.")
    return senders.create(local, domain_id=domain.pk, stream=stream, reply_to=reply_to, by=caller.by, now=caller.now)


def modify_mail_address(caller: Caller, params: Params) -> Fields:
    sender = _own(caller, params)
    if params.has("ReplyAddress"):
        reply_addresses.change(sender, params.text("ReplyAddress"), by=caller.by, now=caller.now)
    if params.has("Password"):
        senders.set_smtp_password(sender, params.text("Password"), by=caller.by)
    return {}


def modify_pw_by_domain(caller: Caller, params: Params) -> Fields:
    """Set the password of the address that stands for its whole domain, made where there is none yet."""
    name, password = params.text("DomainName").lower(), params.text("Password")
    sender = domain_sender(caller, name) or create(caller, f"{Sender.DOMAIN_LOGIN}@{name}", stream=Stream.TRIGGER)
    senders.set_smtp_password(sender, password, by=caller.by)
    return {"Code": "OK", "Message": "OK", "Success": True}


def domain_sender(caller: Caller, domain: str) -> Sender | None:
    """Return the address that stands for a whole domain of the caller's."""
    rows = Sender.objects.for_account(caller.account).select_related("domain", "config_set")
    return rows.filter(address=f"{Sender.DOMAIN_LOGIN}@{domain.lower()}").first()


def delete_mail_address(caller: Caller, params: Params) -> Fields:
    senders.delete(_own(caller, params), by=caller.by, now=caller.now)
    return {}


def check_reply_to_mail_address(caller: Caller, params: Params) -> Fields:
    """Mail the link that confirms the reply address once more."""
    reply_addresses.resend(_own(caller, params), by=caller.by, now=caller.now)
    return {}


def approve_reply_mail_address(caller: Caller, params: Params) -> Fields:
    """Confirm a reply address by the ticket in the mail's link; it must be one of the caller's own senders."""
    ticket = params.text("Ticket")
    sender = reply_addresses.find(ticket)
    if sender.account_id != caller.account.pk:
        raise errors.not_found("Ticket", "This ticket is for no sender address of yours.")
    reply_addresses.confirm(ticket, now=caller.now, ip=caller.by.ip)
    return {}


def query_mail_address_by_param(caller: Caller, params: Params) -> Fields:
    rows = Sender.objects.for_account(caller.account).select_related("domain", "account", "config_set").order_by("-pk")
    if keyword := params.text("KeyWord", "", most=LONGEST_ADDRESS):
        rows = rows.filter(address__icontains=keyword)
    if params.has("Sendtype"):
        rows = rows.filter(stream=_stream(params))
    counts, shown = paged(rows, params.page(most=500, usual=10))
    daily, monthly = quotas.allowances(caller.account, now=caller.now)
    quota = {
        "DailyCount": str(daily.quota),
        "DailyReqCount": str(daily.used),
        "MonthCount": str(monthly.quota),
        "MonthReqCount": str(monthly.used),
    }
    return {**counts, "data": {"mailAddress": [{**_listed(sender), **quota} for sender in shown]}}


def _own(caller: Caller, params: Params) -> Sender:
    pk = params.number("MailAddressId")
    sender = Sender.objects.for_account(caller.account).select_related("domain", "account").filter(pk=pk).first()
    if sender is None:
        raise errors.not_found("MailAddressId", f"You have no sender address with the id {pk}.")
    return sender


def _stream(params: Params) -> str:
    stream = params.text("Sendtype").lower()
    if stream not in Stream.values:
        raise errors.not_valid("MailAddressSendType", "Sendtype is batch or trigger.", kind="Malformed")
    return stream


def _listed(sender: Sender) -> Fields:
    return {
        "MailAddressId": str(sender.pk),
        "AccountName": sender.address,
        "SenderAddress": sender.address,
        "AccountStatus": "1" if sender.is_frozen else "0",
        "AddressType": "INTERNAL",
        "Sendtype": sender.stream,
        "CreateTime": minute(sender.created_at),
        "DomainStatus": failed(passed=sender.domain.may_send),
        "MailAddressVerificationStatus": "0",  # addresses exist on verified domains alone
        "ReplyAddress": sender.reply_to,
        "ReplyStatus": failed(passed=bool(sender.usable_reply_to)),
        "ConfigSetId": str(sender.config_set_id or ""),
        "ConfigSetName": sender.config_set.name if sender.config_set else "",
    }
