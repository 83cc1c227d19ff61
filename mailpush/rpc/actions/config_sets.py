"""Configuration sets."""

from typing import Any

from mailpush.rpc import errors
from mailpush.rpc.actions import ips
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields
from mailpush.rpc.params import Params
from senders.models import ConfigSet, Sender
from senders.services import config_sets
from senders.services.config_sets import Settings

MOST_IDS = 100


def config_set_create(caller: Caller, params: Params) -> Fields:
    made = config_sets.create(_settings(caller, params), by=caller.by, now=caller.now)
    return {"Id": str(made.pk)}


def config_set_update(caller: Caller, params: Params) -> Fields:
    config_set = _own(caller, params.text("Id"))
    config_sets.change(config_set, _settings(caller, params), by=caller.by)
    return {"Id": str(config_set.pk)}


def config_set_delete(caller: Caller, params: Params) -> Fields:
    ids = [part.strip() for part in params.text("Ids").split(",") if part.strip()]
    if not 1 <= len(ids) <= MOST_IDS:
        raise errors.not_valid("Ids", f"Ids names 1 to {MOST_IDS} configuration sets.", kind="Malformed")
    sets = [_own(caller, each) for each in ids]
    config_sets.delete(sets, is_forced=params.flag("IsForce", default=False), by=caller.by)
    return {}


def config_set_detail(caller: Caller, params: Params) -> Fields:
    return {"Detail": _described(_own(caller, params.text("Id")))}


def config_set_list(caller: Caller, params: Params) -> Fields:
    rows = ConfigSet.objects.for_account(caller.account).select_related("pool").order_by("-pk")
    if keyword := params.text("Keyword", ""):
        rows = rows.filter(name__icontains=keyword)
    total = rows.count()
    page = params.page(most=500, usual=10, number="PageIndex")
    shown = list(rows if params.flag("All", default=False) else rows[page.rows])
    addresses: dict[int, list[str]] = {}
    for pk, address in (
        Sender.objects.for_account(caller.account).filter(config_set__in=shown).values_list("config_set", "address")
    ):
        addresses.setdefault(pk or 0, []).append(address)
    return {
        "ConfigSets": [{**_described(each), "FromAddresses": addresses.get(each.pk, [])} for each in shown],
        "CurrentPage": page.number,
        "PageSize": page.size,
        "TotalCounts": total,
        "HasMore": len(shown) < total and page.rows.stop < total,
    }


def config_set_relation(caller: Caller, params: Params) -> Fields:
    config_sets.relate(_own(caller, params.text("Id")), _sender(caller, params), by=caller.by)
    return {"Result": True}


def config_set_cancel_relation(caller: Caller, params: Params) -> Fields:
    config_sets.unrelate(_own(caller, params.text("Id")), _sender(caller, params), by=caller.by)
    return {"Result": True}


def _settings(caller: Caller, params: Params) -> Settings:
    validation = params.json_object("ValidationOption")
    return Settings(
        name=params.text("Name"),
        description=params.text("Description", ""),
        pool=ips.own_pool(caller, params.text("IpPoolId")) if params.has("IpPoolId") else None,
        is_backing_off=params.flag("IsPublicChannelBackoff", default=False),
        is_validating=bool(validation.get("Enabled")),
        refused_statuses=_words(validation, "ForbiddenStatusList"),
        refused_sub_statuses=_words(validation, "ForbiddenSubStatusList"),
    )


def _words(validation: dict[str, Any], name: str) -> list[str]:
    words = validation.get(name) or []
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise errors.not_valid("ValidationOption", f"{name} is a list of words.", kind="Malformed")
    return [word.upper() for word in words]


def _own(caller: Caller, text: str) -> ConfigSet:
    rows = ConfigSet.objects.for_account(caller.account).select_related("pool")
    found = rows.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004 bigint
    if found is None:
        raise errors.not_found("ConfigSet", f"You have no configuration set with the id {text[:64]}.")
    return found


def _sender(caller: Caller, params: Params) -> Sender:
    address = params.text("FromAddress").strip().lower()
    sender = Sender.objects.for_account(caller.account).filter(address=address).first()
    if sender is None:
        raise errors.not_found("MailAddress", f"{address[:80]} is not one of your sender addresses.")
    return sender


def _described(config_set: ConfigSet) -> Fields:
    pool = config_set.pool
    return {
        "Id": str(config_set.pk),
        "Name": config_set.name,
        "Description": config_set.description,
        "IpPool": {"IpPoolId": str(pool.pk) if pool else "", "IpPoolName": pool.name if pool else ""},
        "IsPublicChannelBackoff": config_set.is_backing_off,
        "ValidationOption": {
            "Enabled": config_set.is_validating,
            "ForbiddenStatusList": config_set.refused_statuses,
            "ForbiddenSubStatusList": config_set.refused_sub_statuses,
        },
    }
