"""The account: how it stands, where it may be used from, where uploads go."""

from accounts import quotas
from accounts.models import Account, AllowedAddresses, Permission
from accounts.services import ip_protection
from domains.models import Domain
from mailpush.rpc import errors, uploads
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, epoch
from mailpush.rpc.params import Params
from recipients.models import RecipientList
from senders.models import Sender, Tag
from templates_app.models import Template

LEVEL, HIGHEST_LEVEL = 10, 10  # quotas are set by operators, not earned
NORMAL, RESTRICTED = 0, 4


def desc_account_summary(caller: Caller, _params: Params) -> Fields:
    account = caller.account
    daily, monthly = quotas.allowances(account, now=caller.now)
    return {
        "UserStatus": NORMAL if account.is_active else RESTRICTED,
        "DailyQuota": daily.quota,
        "DailyRemainFreeQuota": daily.left,
        "MonthQuota": monthly.quota,
        "RemainFreeQuota": monthly.left,
        "QuotaLevel": LEVEL,
        "MaxQuotaLevel": HIGHEST_LEVEL,
        "IpChannelType": "normal",
        "EnableTimes": 0,
        "Domains": Domain.objects.for_account(account).count(),
        "MailAddresses": Sender.objects.for_account(account).count(),
        "Receivers": RecipientList.objects.for_account(account).count(),
        "Tags": Tag.objects.for_account(account).count(),
        "Templates": Template.objects.for_account(account).count(),
        "DayuStatus": 0,
        "SmsRecord": 0,
        "SmsSign": 0,
        "SmsTemplates": 0,
    }


def get_user(_caller: Caller, _params: Params) -> Fields:
    """Events go to webhooks here, so there is no EventBridge to be on."""
    return {"Data": {"EnableEventbridge": False}}


def update_user(caller: Caller, params: Params) -> Fields:
    caller.by.must(Permission.SETUP)
    wanted = params.json_object("User").get("EnableEventbridge", False)
    if str(wanted).lower() in {"true", "1"}:
        sentence = "There is no EventBridge here: have events delivered to webhooks instead."
        raise errors.not_valid("User", sentence, kind="Unsupported")
    return {}


def get_ipfilter_list(caller: Caller, params: Params) -> Fields:
    rows = caller.account.allowed_addresses.order_by("pk")
    page = params.page(most=100, usual=100)
    listed = [
        {"Id": str(row.pk), "IpAddress": row.written, "CreateTime": str(epoch(row.created_at))}
        for row in rows[page.rows]
    ]
    return {
        "PageNumber": page.number,
        "PageSize": page.size,
        "TotalCount": rows.count(),
        "data": {"ipfilters": listed},
    }


def add_ipfilter(caller: Caller, params: Params) -> Fields:
    row = ip_protection.allow(params.text("IpAddress"), by=caller.by, now=caller.now)
    return {"IpFilterId": str(row.pk)}


def delete_ipfilter(caller: Caller, params: Params) -> Fields:
    pk = params.number("Id")
    row = AllowedAddresses.objects.filter(account=caller.account, pk=pk).first()
    if row is None:
        raise errors.not_found("IP", f"Your list has no entry with the id {pk}.")
    ip_protection.forbid(row, by=caller.by)
    return {}


def get_ip_protection(caller: Caller, _params: Params) -> Fields:
    return {"IpProtection": "1" if Account.objects.get(pk=caller.account.pk).is_ip_protected else "0"}


def update_ip_protection(caller: Caller, params: Params) -> Fields:
    ip_protection.protect(is_on=params.flag("IpProtection"), by=caller.by)
    return {}


def authorize_file_upload(caller: Caller, _params: Params) -> Fields:
    return uploads.authorize(by=caller.by)
