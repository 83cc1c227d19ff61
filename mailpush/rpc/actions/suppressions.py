"""Addresses that get no mail: bounced ones, one's own list, and readers who unsubscribed or complained."""

from datetime import datetime, timedelta

from django.db.models import Q

from accounts.models import Permission
from mailpush.mail.addresses import BadAddress, parse
from mailpush.rpc import errors
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, epoch, minute, paged
from mailpush.rpc.params import Params
from recipients.models import Suppression, SuppressionQuerySet
from recipients.services import suppressions
from sending.models import Message

Reason, Scope = Suppression.Reason, Suppression.Scope

NOTE = "by API"
LONGEST_SPAN = timedelta(days=30)
BLOCKS = {"UNSUB": Reason.UNSUBSCRIBED, "REPORT": Reason.COMPLAINED}
MOST_IDS = 500
LEVEL = "account"  # one's own list; what the platform suppresses holds for everybody besides


def query_invalid_address(caller: Caller, params: Params) -> Fields:
    rows = _bounced(caller).order_by("-pk")
    if params.has("StartTime") or params.has("EndTime"):
        first, last = params.day("StartTime"), params.day("EndTime")
        if not timedelta() <= last - first <= LONGEST_SPAN:
            sentence = f"EndTime must not lie before StartTime, nor more than {LONGEST_SPAN.days} days after it."
            raise errors.not_valid("BetweenTime", sentence, kind="Malformed")
        rows = rows.filter(created_at__date__range=(first, last))
    if keyword := params.text("KeyWord", ""):
        rows = rows.filter(address__contains=keyword.lower())
    total, length = rows.count(), params.number("Length", 10, lowest=1, highest=100)
    if params.has("NextStart"):
        rows = rows.filter(pk__lt=params.number("NextStart"))
    found = list(rows[: length + 1])
    shown = found[:length]
    details = [
        {
            "ToAddress": row.address,
            "LastUpdateTime": minute(row.created_at),
            "UtcLastUpdateTime": epoch(row.created_at),
        }
        for row in shown
    ]
    return {
        "NextStart": str(shown[-1].pk) if len(found) > length else "",
        "TotalCount": total,
        "data": {"mailDetail": details},
    }


def delete_invalid_address(caller: Caller, params: Params) -> Fields:
    """Let a bounced address get mail again."""
    address = params.text("ToAddress")
    _remove(caller, _bounced(caller).filter(address=_key(address)), missing=f"{address} is no invalid address.")
    return {}


def list_user_suppression(caller: Caller, params: Params) -> Fields:
    rows = Suppression.objects.for_account(caller.account).filter(scope=Scope.ACCOUNT).order_by("-pk")
    if address := params.text("Address", ""):
        rows = rows.filter(address__contains=address.lower())
    for name in ("StartCreateTime", "StartBounceTime"):
        if at := params.second(name):
            rows = rows.filter(created_at__gte=at)
    for name in ("EndCreateTime", "EndBounceTime"):
        if at := params.second(name):
            rows = rows.filter(created_at__lte=at)
    if params.has("StartBounceTime") or params.has("EndBounceTime"):
        rows = rows.filter(reason=Reason.BOUNCED)
    counts, shown = paged(rows, params.page(most=100, usual=10))
    return {**counts, "Data": {"UserSuppressions": [_listed(row) for row in shown]}}


def create_user_suppression(caller: Caller, params: Params) -> Fields:
    address = params.text("Address")
    if "@" not in address:
        raise errors.not_valid("Address", "Whole domains cannot be suppressed: give an address.", kind="Malformed")
    suppressions.add(addresses=[address], note=NOTE, by=caller.by, now=caller.now)
    row = Suppression.objects.for_account(caller.account).get(address=_key(address), scope=Scope.ACCOUNT)
    return {"SuppressionId": str(row.pk)}


def remove_user_suppression(caller: Caller, params: Params) -> Fields:
    """Remove all that are named, or none where one of them is not there."""
    texts = [part.strip() for part in params.text("SuppressionIds").split(",") if part.strip()]
    if not 1 <= len(texts) <= MOST_IDS or not all(text.isdecimal() and len(text) < 19 for text in texts):  # noqa: PLR2004
        raise errors.not_valid("SuppressionIds", f"SuppressionIds are 1 to {MOST_IDS} numbers.", kind="Malformed")
    ids = {int(text) for text in texts}
    rows = Suppression.objects.for_account(caller.account).filter(pk__in=ids, scope=Scope.ACCOUNT)
    if lacking := ids - set(rows.values_list("pk", flat=True)):
        raise errors.not_found("SuppressionId", f"You have no suppression {', '.join(map(str, sorted(lacking)))}.")
    _remove(caller, rows, missing="")
    return {}


def get_suppression_list_level(_caller: Caller, _params: Params) -> Fields:
    return {"SuppressionListLevel": LEVEL}


def set_suppression_list_level(caller: Caller, params: Params) -> Fields:
    caller.by.must(Permission.WORK)
    if params.text("SuppressionListLevel", LEVEL).lower() != LEVEL:
        sentence = f"The level here is {LEVEL}: your own list. What the platform suppresses holds besides."
        raise errors.not_valid("SuppressionListLevel", sentence, kind="Unsupported")
    return {"SuppressionListLevel": LEVEL}


def list_block_sending(caller: Caller, params: Params) -> Fields:
    rows = _blocked(caller, params).order_by("pk")
    if address := params.text("BlockEmail", ""):
        rows = rows.filter(address=_key(address))
    if sender := params.text("SenderEmail", ""):
        rows = rows.filter(_binding(sender))
    if begin := params.second("BeginTime"):
        rows = rows.filter(created_at__gte=begin)
    if end := params.second("EndTime"):
        rows = rows.filter(created_at__lte=end)
    most = params.number("MaxResults", 50, lowest=1, highest=500)
    if params.has("NextToken"):
        rows = rows.filter(pk__gt=params.number("NextToken"))
    found = list(rows[: most + 1])
    shown = found[:most]
    return {
        "Data": _blocks(shown),
        "MaxResults": most,
        "NextToken": str(shown[-1].pk) if len(found) > most else "",
    }


def unblock_sending(caller: Caller, params: Params) -> Fields:
    """Let a sender address write to someone again, who is expected to have asked for it."""
    address, sender = params.text("BlockEmail"), params.text("SenderEmail")
    rows = _blocked(caller, params).filter(_binding(sender), address=_key(address))
    _remove(caller, rows, missing=f"{address} has not blocked {sender}.")
    return {}


def _bounced(caller: Caller) -> SuppressionQuerySet:
    return Suppression.objects.for_account(caller.account).filter(scope=Scope.ACCOUNT, reason=Reason.BOUNCED)


def _blocked(caller: Caller, params: Params) -> SuppressionQuerySet:
    kind = params.text("BlockType")
    if kind not in BLOCKS:
        raise errors.not_valid("BlockType", "BlockType is UNSUB or REPORT.", kind="Malformed")
    return Suppression.objects.for_account(caller.account).filter(reason=BLOCKS[kind])


def _binding(sender: str) -> Q:
    """Return what keeps this sender address from writing: blocks of its own, of its domain, of the account."""
    address = sender.strip().lower()
    return (
        Q(scope=Scope.ACCOUNT)
        | Q(scope=Scope.DOMAIN, scope_value=address.rpartition("@")[2])
        | Q(scope=Scope.SENDER, scope_value=address)
    )


def _blocks(rows: list[Suppression]) -> list[Fields]:
    """Name the mail that was answered by the block, where it is known and still there."""
    sources = {row.pk: row.message_id for row in rows}
    messages = {
        message.pk: message
        for message in Message.objects.filter(pk__in=[pk for pk in sources.values() if pk]).select_related(
            "content__sender"
        )
    }
    return [_block(row, messages.get(sources[row.pk] or 0)) for row in rows]


def _block(row: Suppression, message: Message | None) -> Fields:
    sender = message.content.sender.address if message else row.scope_value
    sent_at: datetime | None = message.created_at if message else None
    return {
        "BlockEmail": row.address,
        "BlockTime": epoch(row.created_at),
        "Reason": 0,  # not asked for
        "SendTime": epoch(sent_at),
        "SenderEmail": sender,
    }


def _remove(caller: Caller, rows: SuppressionQuerySet, *, missing: str) -> None:
    found = list(rows)
    if not found:
        raise errors.not_found("Address", missing)
    for row in found:
        suppressions.remove(row, note=NOTE, by=caller.by)


def _key(address: str) -> str:
    try:
        return parse(address).key
    except BadAddress as problem:
        raise errors.not_valid("Address", str(problem), kind="Malformed") from problem


def _listed(row: Suppression) -> Fields:
    return {
        "SuppressionId": row.pk,
        "Address": row.address,
        "CreateTime": epoch(row.created_at),
        "LastBounceTime": epoch(row.created_at) if row.reason == Reason.BOUNCED else 0,
        "Type": "user" if row.reason == Reason.MANUAL else "system",
    }
