"""What became of what was sent: tasks, figures, single messages, opens and clicks."""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, Q, QuerySet

from accounts import quotas
from domains.models import Domain
from mailpush.mail import failed_types
from mailpush.mail.replies import Failure
from mailpush.rpc import errors
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, epoch, minute, paged
from mailpush.rpc.params import Params
from senders.models import Sender, Tag
from sending.models import AddressType, Batch, Event, Message, Status
from stats.reports import figures
from stats.reports.figures import Figures, Period

LONGEST_PERIOD, FURTHEST_BACK = timedelta(days=31), timedelta(days=90)
LONGEST_DETAIL = timedelta(days=30)
TRACKED_FOR = timedelta(days=30)

# 1 is what clients wait for.
TASK_STATUSES = {0: {"scheduled", "preparing", "sending", "paused"}, 1: {"done"}, 2: {"canceled"}}

SUCCESS, INVALID, SPAM, OTHER = 0, 2, 3, 4
SPAM_FAILURES = (Failure.POLICY, Failure.CONTENT)
# Suppressed addresses count as invalid, as DirectMail counts them: they were not tried because they had bounced.
FINAL = {
    SUCCESS: Q(status=Status.DELIVERED),
    INVALID: Q(status=Status.BOUNCED, invalid=True) | Q(status=Status.SUPPRESSED),
    OTHER: Q(status__in=[Status.BOUNCED, Status.FAILED, Status.UNKNOWN, Status.CANCELED], invalid=False),
}
READINGS = {"Open": "opens", "UniqueOpen": "unique_opens", "Click": "clicks", "UniqueClick": "unique_clicks"}


def query_task_by_param(caller: Caller, params: Params) -> Fields:
    rows = Batch.objects.for_account(caller.account).select_related("tag", "sender__config_set__pool").order_by("-pk")
    if keyword := params.text("KeyWord", ""):
        rows = rows.filter(Q(template_name__icontains=keyword) | Q(list_name__icontains=keyword))
    status = params.optional_number("Status", highest=2)
    if status is not None:
        rows = rows.filter(status__in=TASK_STATUSES[status])
    counts, shown = paged(rows, params.page(most=50, usual=10))
    return {**counts, "data": {"task": [_task(batch) for batch in shown]}}


def sender_statistics(caller: Caller, params: Params) -> Fields:
    """Return the days on which something was sent, today among them."""
    period = _period(caller, params, longest=LONGEST_PERIOD, back=FURTHEST_BACK)
    _refuse_unkept(params)
    lines = figures.daily(
        caller.account,
        period,
        sender=_sender(caller, params),
        tag=_tag(caller, params),
        domain=_domain(caller, params),
    )
    stat = [{"CreateTime": f"{line.of:%Y-%m-%d}", **_counted(line.figures)} for line in lines if line.figures.total]
    return {"TotalCount": len(stat), "data": {"stat": stat}}


def sender_statistics_detail(caller: Caller, params: Params) -> Fields:
    """Return messages with what the receiving server said, the newest first."""
    rows = _filtered(caller, params, Message.objects.for_account(caller.account))
    if params.has("NextStart"):
        rows = rows.filter(pk__lt=params.number("NextStart"))
    length = params.number("Length", 10, lowest=1, highest=100)
    rows = rows.select_related("content__sender__config_set__pool").defer(
        "content__html", "content__text", "content__mime"
    )
    found = list(rows.order_by("-pk")[: length + 1])
    shown = found[:length]
    failures = _failures(shown)
    return {
        "NextStart": str(shown[-1].pk) if len(found) > length else "",
        "data": {"mailDetail": [_detailed(message, failures.get(message.pk, "")) for message in shown]},
    }


def get_track_list(caller: Caller, params: Params) -> Fields:
    """Return opens and clicks by the day of their messages."""
    return _tracked(caller, params, longest=timedelta(days=7), wrap=lambda stat: {"data": {"stat": stat}})


def get_track_list_by_tag(caller: Caller, params: Params) -> Fields:
    fields = _tracked(caller, params, longest=timedelta(days=15), wrap=lambda stat: {"TrackList": {"Stat": stat}})
    return {**fields, "TotalPages": str(fields["TotalPages"])}


def _tracked(caller: Caller, params: Params, *, longest: timedelta, wrap: Any) -> Fields:
    period = _period(caller, params, longest=longest, back=TRACKED_FOR)
    _refuse_unkept(params)
    sender = _sender(caller, params)
    lines = figures.daily(
        caller.account, period, sender=sender, tag=_tag(caller, params), domain=_domain(caller, params)
    )
    days = [line for line in lines if line.figures.total]
    page = params.page(most=100, usual=10, number="PageNumber")
    stat = [
        {
            "CreateTime": f"{line.of:%Y-%m-%d}T00:00Z",
            "TotalNumber": str(line.figures.total),
            **_readings(line.figures),
        }
        for line in days[page.rows]
    ]
    return {
        "PageNo": page.number,
        "PageSize": page.size,
        "Total": len(days),
        "TotalPages": -(-len(days) // page.size),
        "OffsetCreateTime": "",
        "OffsetCreateTimeDesc": "",
        **wrap(stat),
    }


# What is asked for


def _period(caller: Caller, params: Params, *, longest: timedelta, back: timedelta) -> Period:
    first, last = params.day("StartTime"), params.day("EndTime")
    today = quotas.today(caller.account, caller.now)
    if first < today - back:
        sentence = f"StartTime lies more than {back.days} days back."
        raise errors.not_valid("StartTime", sentence, kind="Malformed")
    if not timedelta() <= last - first <= longest:
        sentence = f"EndTime must not lie before StartTime, nor more than {longest.days} days after it."
        raise errors.not_valid("BetweenTime", sentence, kind="Malformed")
    return Period(first, last)


def _sender(caller: Caller, params: Params) -> Sender | None:
    """Return the sender address a call names; deleted ones have their figures, too."""
    if not params.has("AccountName"):
        return None
    address = params.text("AccountName").strip().lower()
    sender = Sender.objects.filter(account=caller.account, address=address).order_by("-pk").first()
    if sender is None:
        raise errors.not_found("MailAddress", f"{address[:80]} is not one of your sender addresses.")
    return sender


def _tag(caller: Caller, params: Params) -> Tag | None:
    if not params.has("TagName"):
        return None
    name = params.text("TagName")
    tag = Tag.objects.filter(account=caller.account, name__iexact=name).order_by("-pk").first()
    if tag is None:
        raise errors.not_found("Tag", f"You have no tag {name[:80]}.")
    return tag


def _domain(caller: Caller, params: Params) -> Domain | None:
    if not params.has("Domain"):
        return None
    name = params.text("Domain").lower()
    domain = Domain.objects.filter(account=caller.account, name=name).order_by("-pk").first()
    if domain is None:
        raise errors.not_found("Domain", f"{name[:80]} is not one of your domains.")
    return domain


def _refuse_unkept(params: Params) -> None:
    """Refuse to answer by what figures are not kept by: numbers of everything would be taken for it."""
    for name in ("Esp", "DedicatedIp", "DedicatedIpPoolId", "ConfigSetId"):
        if params.has(name):
            raise errors.not_valid(name, f"Figures are not kept by {name}: leave it out.", kind="Unsupported")


def _filtered(caller: Caller, params: Params, rows: "QuerySet[Message]") -> "QuerySet[Message]":
    if params.has("StartTime") or params.has("EndTime"):
        first, last = _between(caller, params)
        rows = rows.filter(created_at__gte=first, created_at__lt=last + timedelta(minutes=1))
    if sender := _sender(caller, params):
        rows = rows.filter(content__sender=sender)
    if tag := _tag(caller, params):
        rows = rows.filter(content__tag=tag)
    if params.has("ConfigSetId"):
        rows = rows.filter(content__sender__config_set=params.number("ConfigSetId"))
    if address := params.text("ToAddress", ""):
        rows = rows.to_recipients(address).filter(key=address.lower())  # type: ignore[attr-defined]
    return _of_status(rows, params.optional_number("Status", highest=4))


def _between(caller: Caller, params: Params) -> tuple[datetime, datetime]:
    last = params.minute("EndTime") if params.has("EndTime") else caller.now
    first = params.minute("StartTime") if params.has("StartTime") else last - LONGEST_DETAIL
    if not timedelta() <= last - first <= LONGEST_DETAIL:
        sentence = f"EndTime must not lie before StartTime, nor more than {LONGEST_DETAIL.days} days after it."
        raise errors.not_valid("BetweenTime", sentence, kind="Malformed")
    return first, last


def _of_status(rows: "QuerySet[Message]", status: int | None) -> "QuerySet[Message]":
    """Leave messages of one status, or all that have come to an end."""
    if status is None:
        return rows.filter(FINAL[SUCCESS] | FINAL[INVALID] | FINAL[OTHER])
    said_spam = Exists(
        Event.objects.filter(message_id=OuterRef("pk"), status=OuterRef("status"), failure__in=SPAM_FAILURES)
    )
    if status == SPAM:
        return rows.filter(FINAL[OTHER]).filter(said_spam)
    rows = rows.filter(FINAL.get(status, Q(pk=None)))  # 1 is no status
    return rows.exclude(said_spam) if status == OTHER else rows


def _failures(messages: Iterable[Message]) -> dict[int, str]:
    """Return why messages were not delivered, by the last thing that happened to each."""
    ids = [message.pk for message in messages]
    events = Event.objects.filter(message_id__in=ids).exclude(failure="").order_by("at", "pk")
    return {pk: failure for pk, failure in events.values_list("message_id", "failure") if pk is not None}


# Answers


def _task(batch: Batch) -> Fields:
    return {
        "TaskId": str(batch.pk),
        "TaskStatus": next(str(number) for number, names in TASK_STATUSES.items() if batch.status in names),
        "AddressType": "0" if batch.address_type == AddressType.RANDOM else "1",
        "ReceiversName": batch.list_name,
        "TemplateName": batch.template_name,
        "TagName": batch.tag.name if batch.tag else "",
        "RequestCount": str(batch.total or batch.requested),
        **_config_set(batch.sender),
        "CreateTime": minute(batch.created_at),
        "UtcCreateTime": epoch(batch.created_at),
    }


def _config_set(sender: Sender) -> Fields:
    config_set = sender.config_set
    pool = config_set.pool if config_set else None
    return {
        "ConfigSetId": str(config_set.pk) if config_set else "",
        "ConfigSetName": config_set.name if config_set else "",
        "IpPoolId": str(pool.pk) if pool else "",
        "IpPoolName": pool.name if pool else "",
    }


def _counted(counts: Figures) -> Fields:
    return {
        "requestCount": str(counts.total),
        "successCount": str(counts.success),
        "faildCount": str(counts.failed),
        "unavailableCount": str(counts.invalid),
        "succeededPercent": f"{counts.success_rate:.2%}",
        "unavailablePercent": f"{counts.failure_rate:.2%}",
    }


def _readings(counts: Figures) -> Fields:
    """Return counts and rates; rates are of what was delivered."""
    fields: Fields = {}
    for name, number in READINGS.items():
        count = getattr(counts, number)
        fields[f"Rcpt{name}Count"] = str(count)
        fields[f"Rcpt{name}Rate"] = f"{count / counts.success if counts.success else 0:.2%}"
    return fields


def _detailed(message: Message, failure: str) -> Fields:
    at = message.finished_at or message.created_at
    return {
        "AccountName": message.content.sender.address,
        "ToAddress": message.recipient,
        "Subject": message.content.readable_subject,
        "Status": _status(message, failure),
        "ErrorClassification": _class(message, failure),
        "Message": message.last_reply or ("250 Send Mail OK" if message.status == Status.DELIVERED else ""),
        "LastUpdateTime": minute(at),
        "UtcLastUpdateTime": str(epoch(at)),
        **_config_set(message.content.sender),
    }


def _status(message: Message, failure: str) -> int:
    if message.status == Status.DELIVERED:
        return SUCCESS
    if message.status == Status.SUPPRESSED or message.invalid:
        return INVALID
    return SPAM if failure in SPAM_FAILURES else OTHER


def _class(message: Message, failure: str) -> str:
    if message.status == Status.SUPPRESSED:
        return failed_types.ON_SUPPRESSION_LIST
    delivered = message.status == Status.DELIVERED
    return failed_types.failed_type("" if delivered else failure or Failure.UNKNOWN, message.last_reply)
