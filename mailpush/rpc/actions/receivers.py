"""Recipient lists and who is on them."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.db.models.functions import Lower

from mailpush.mail.variables import LENGTHS, variable_named
from mailpush.rpc import errors
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, epoch, minute
from mailpush.rpc.params import Params
from recipients.models import Import, Recipient, RecipientList
from recipients.services import lists, recipients
from recipients.services.recipients import Entry

MOST_ROWS = 500
LETTERS = {"u": "UserName", "n": "NickName", "g": "Gender", "b": "Birthday", "m": "Mobile"}
UPLOADING, READY = "0", "1"


def create_receiver(caller: Caller, params: Params) -> Fields:
    made = lists.create(
        name=params.text("ReceiversName"),
        alias=params.text("ReceiversAlias"),
        description=params.text("Desc", ""),
        by=caller.by,
        now=caller.now,
    )
    return {"ReceiverId": str(made.pk)}


def delete_receiver(caller: Caller, params: Params) -> Fields:
    lists.delete(_own(caller, params), by=caller.by, now=caller.now)
    return {}


def query_receiver_by_param(caller: Caller, params: Params) -> Fields:
    """Pages are asked for by number (PageNo) or by where the last one ended (NextStart)."""
    rows = RecipientList.objects.for_account(caller.account)
    if keyword := params.text("KeyWord", ""):
        rows = rows.filter(name__icontains=keyword)
    busy = Import.objects.for_account(caller.account).unfinished().values("list")
    status = params.optional_number("Status", highest=2)
    if status is not None:
        rows = rows.filter(pk__in=busy) if status == int(UPLOADING) else rows.exclude(pk__in=busy)
    total, page = rows.count(), params.page(most=50, usual=40)
    first = params.number("NextStart", (page.number - 1) * page.size)
    shown = list(rows.order_by("-pk")[first : first + page.size])
    uploading = set(busy.filter(list__in=shown).values_list("list", flat=True))
    end = first + page.size
    return {
        "NextStart": str(end) if end < total else "",
        "PageSize": page.size,
        "TotalCount": total,
        "data": {"receiver": [_listed(each, is_busy=each.pk in uploading) for each in shown]},
    }


def save_receiver_detail(caller: Caller, params: Params) -> Fields:
    """Add up to 500 recipients; one that cannot be added is told with the reason, the others are added."""
    entries = list(_entries(params))
    if not 1 <= len(entries) <= MOST_ROWS:
        raise errors.not_valid("Detail", f"Detail holds 1 to {MOST_ROWS} recipients.", kind="Malformed")
    refused = recipients.add_all(_own(caller, params), entries, by=caller.by, now=caller.now)
    return {
        "SuccessCount": len(entries) - len(refused),
        "ErrorCount": len(refused),
        "Data": {"Detail": [{"Email": address, "ErrMessage": reason} for address, reason in refused]},
    }


def delete_receiver_detail(caller: Caller, params: Params) -> Fields:
    """Take one address off the list. Without an address nothing is: nobody empties a list by leaving something out."""
    own, address = _own(caller, params), params.text("Email")
    rows = own.recipients.annotate(key=Lower("address")).filter(key=address.strip().lower())
    if not recipients.delete(own, ids=list(rows.values_list("pk", flat=True)), by=caller.by):
        raise errors.not_found("ReceiverDetail", f"{address[:80]} is not on the list {own.name}.")
    return {}


def query_receiver_detail(caller: Caller, params: Params) -> Fields:
    own = _own(caller, params)
    rows = own.recipients.order_by("pk")
    if keyword := params.text("KeyWord", "", most=254):
        rows = rows.filter(address__icontains=keyword)
    size = params.number("PageSize", 40, lowest=1, highest=50)
    found = list(rows.filter(pk__gt=params.number("NextStart", 0))[: size + 1])
    shown = found[:size]
    return {
        "DataSchema": ",".join(LENGTHS),
        "NextStart": str(shown[-1].pk) if len(found) > size else "",
        "TotalCount": own.count if not keyword else rows.count(),
        "data": {"detail": [_detailed(recipient) for recipient in shown]},
    }


def _own(caller: Caller, params: Params) -> RecipientList:
    text = params.text("ReceiverId")
    rows = RecipientList.objects.for_account(caller.account)
    found = rows.filter(pk=int(text)).first() if text.isdecimal() and len(text) < 19 else None  # noqa: PLR2004 bigint
    if found is None:
        raise errors.not_found("Receiver", f"You have no recipient list with the id {text[:64]}.")
    return found


def _entries(params: Params) -> Iterator[Entry]:
    """Read `Detail` (rows with names of one letter) or `CustomDetail` (an address and an object)."""
    if params.has("CustomDetail"):
        for row in _rows(params, "CustomDetail"):
            given = row.get("CustomData") or {}
            if not isinstance(given, Mapping):
                raise errors.not_valid("CustomDetail", "CustomData must be an object.", kind="Malformed")
            named = {variable_named(str(name)) or str(name): value for name, value in given.items()}
            yield Entry(_text(row.get("Email")), {name: _text(value) for name, value in named.items()})
        return
    for row in _rows(params, "Detail"):
        yield Entry(_text(row.get("e")), {LETTERS[key]: _text(value) for key, value in row.items() if key in LETTERS})


def _rows(params: Params, name: str) -> list[dict[str, Any]]:
    rows = params.json(name)
    if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
        raise errors.not_valid(name, f"{name} must be a JSON array of objects.", kind="Malformed")
    return rows


def _text(value: object) -> str:
    """Return what JSON holds as the list keeps it: text."""
    return "" if value is None else value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _listed(own: RecipientList, *, is_busy: bool) -> Fields:
    return {
        "ReceiverId": str(own.pk),
        "ReceiversName": own.name,
        "ReceiversAlias": own.alias,
        "ReceiversStatus": UPLOADING if is_busy else READY,
        "Count": str(own.count),
        "Desc": own.description,
        "CreateTime": minute(own.created_at),
        "UtcCreateTime": epoch(own.created_at),
    }


def _detailed(recipient: Recipient) -> Fields:
    return {
        "Email": recipient.address,
        "Data": json.dumps(recipient.variables, ensure_ascii=False),
        "CreateTime": minute(recipient.created_at),
        "UtcCreateTime": epoch(recipient.created_at),
    }
