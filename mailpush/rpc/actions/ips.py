"""Dedicated source addresses and their pools; an address is its own id."""

from mailpush.rpc import errors
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, second
from mailpush.rpc.params import Page, Params
from senders.models import SourcePool
from senders.services import pools

ZONE = "local"
BY_ITSELF = "cusSelfManager"  # the one way of warming up: the owner sends more day by day


def dedicated_ip_list(caller: Caller, params: Params) -> Fields:
    names = {ip: pool.name for pool in SourcePool.objects.for_account(caller.account) for ip in pool.ips}
    keyword = params.text("Keyword", "")
    found = [ip for ip in pools.dedicated(caller.account) if keyword in ip]
    page = params.page(most=500, usual=10, number="PageIndex")
    return {
        "Ips": [_dedicated(caller, ip, names.get(ip, "")) for ip in found[page.rows]],
        "CurrentPage": page.number,
        "PageSize": page.size,
        "TotalCounts": len(found),
        "HasMore": page.rows.stop < len(found),
    }


def dedicated_ip_none_pool_list(caller: Caller, _params: Params) -> Fields:
    return {"Ips": [_ip(ip) for ip in pools.unpooled(caller.account)]}


def dedicated_ip_change_warmup_type(caller: Caller, params: Params) -> Fields:
    _own_ip(caller, params.text("Id"))
    if params.text("WarmupType") != BY_ITSELF:
        sentence = f"An address is warmed up by its owner's own sending here: {BY_ITSELF}."
        raise errors.not_valid("WarmupType", sentence, kind="Unsupported")
    return {}


def dedicated_ip_pool_create(caller: Caller, params: Params) -> Fields:
    pool = pools.create(name=params.text("Name"), ips=_ips(params), by=caller.by, now=caller.now)
    return {"Id": str(pool.pk)}


def dedicated_ip_pool_update(caller: Caller, params: Params) -> Fields:
    pool = own_pool(caller, params.text("Id"))
    if params.flag("UpdateResource", default=True):
        pools.change(pool, ips=_ips(params), by=caller.by)
    return {"Id": str(pool.pk)}


def dedicated_ip_pool_delete(caller: Caller, params: Params) -> Fields:
    pools.delete(own_pool(caller, params.text("Id")), by=caller.by)
    return {}


def dedicated_ip_pool_list(caller: Caller, params: Params) -> Fields:
    rows = SourcePool.objects.for_account(caller.account).order_by("-pk")
    if params.has("PoolId"):
        rows = rows.filter(pk=own_pool(caller, params.text("PoolId")).pk)
    if keyword := params.text("Keyword", ""):
        rows = rows.filter(name__icontains=keyword)
    total = rows.count()
    page = params.page(most=500, usual=10, number="PageIndex")
    page = Page(1, max(total, 1)) if params.flag("All", default=False) else page
    return {
        "IpPools": [_pool(pool) for pool in rows[page.rows]],
        "CurrentPage": str(page.number),
        "PageSize": str(page.size),
        "TotalCounts": total,
        "HasMore": page.rows.stop < total,
    }


def warm_up_info(caller: Caller, params: Params) -> Fields:
    """Return nothing under way: no provider is warmed up to by a plan."""
    if params.has("DedicatedIp"):
        _own_ip(caller, params.text("DedicatedIp"))
    return {"Info": []}


def warm_up_detail(caller: Caller, params: Params) -> Fields:
    if params.has("DedicatedIp"):
        _own_ip(caller, params.text("DedicatedIp"))
    return {"Detail": []}


def own_pool(caller: Caller, text: str) -> SourcePool:
    """Return the caller's pool with this id."""
    rows = SourcePool.objects.for_account(caller.account)
    found = rows.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004 bigint
    if found is None:
        raise errors.not_found("IpPool", f"You have no pool with the id {text[:64]}.")
    return found


def _own_ip(caller: Caller, ip: str) -> str:
    if ip not in pools.dedicated(caller.account):
        raise errors.not_found("IP", f"{ip[:64]} is not one of your dedicated addresses.")
    return ip


def _ips(params: Params) -> list[str]:
    return [part.strip() for part in params.text("BuyResourceIds", "").split(",") if part.strip()]


def _ip(ip: str) -> Fields:
    return {"Id": ip, "Ip": ip, "ZoneId": ZONE}


def _dedicated(caller: Caller, ip: str, pool: str) -> Fields:
    since = second(caller.account.created_at)
    return {
        **_ip(ip),
        "InstanceId": ip,
        "IpPoolName": pool,
        "IpExt": {"AutoRenewal": False, "HasSendMail": bool(pool), "LastWarmUpTypeChangedTime": ""},
        "StartTime": since,
        "ExpiredTime": "",
        "Status": "sold",
        "WarmupStatus": "finish",
        "WarmupType": BY_ITSELF,
    }


def _pool(pool: SourcePool) -> Fields:
    return {
        "Id": str(pool.pk),
        "Name": pool.name,
        "CreateTime": second(pool.created_at),
        "IpCount": len(pool.ips),
        "Ips": [_ip(ip) for ip in pool.ips],
    }
