"""Batches: the task list, each batch with its messages, and what can be done with it."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from django.core.paginator import Paginator
from django.db.models import Sum
from django.db.models.functions import Coalesce
from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from recipients.http import PAGE_SIZE, Slice, csv_download, sliced
from sending import reports
from sending.models import Batch, LinkCount, Message, Status
from sending.models.message import MessageQuerySet
from sending.services import batches, rests

# Icon and colour of a status on its card and in the bar.
LOOKS = {
    Status.DELIVERED: ("circle-check", "success"),
    Status.BOUNCED: ("mail-x", "danger"),
    Status.FAILED: ("circle-x", "danger"),
    Status.UNKNOWN: ("help-circle", "warning"),
    Status.SUPPRESSED: ("mail-off", "secondary"),
    Status.CANCELED: ("ban", "secondary"),
    Status.DEFERRED: ("hourglass", "warning"),
    Status.QUEUED: ("clock", "info"),
}
MOST_DESTINATIONS = 20  # on the page, the fullest first
MOST_LINKS = 50  # the most followed first
EXPORTED_AT_ONCE = 5000  # rows a query: no cursor stays open while a browser reads slowly


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    status = request.GET.get("status", "")
    rows = Batch.objects.for_account(request.account).select_related("tag").order_by("-created_at", "-pk")
    if status in Batch.Status.values:
        rows = rows.filter(status=status)
    page = Paginator(rows, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(
        request,
        "sending/batches.html",
        {
            "page": page,
            "status": status,
            "statuses": Batch.Status.choices,
            "is_moving": any(not batch.is_over for batch in page),
            "may_change": request.actor.may(Permission.WORK),
        },
    )


@require_GET
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    batch = _batch(request, pk)
    query, status = request.GET.get("q", "").strip(), request.GET.get("status", "")
    context = {
        "query": query,
        "status": status,
        "statuses": Status.choices,
        "slice": _messages(request, batch, query=query, status=status),
        "may_change": request.actor.may(Permission.WORK),
    }
    return render(request, "sending/batch.html", _shown(batch) | _waiting(batch) | _readings(batch) | context)


@require_GET
@member_required()
def progress(request: AccountRequest, pk: int) -> HttpResponse:
    """Answer with the counts; when the status has changed, the page loads anew with the buttons that fit."""
    batch = _batch(request, pk)
    if request.GET.get("status", batch.status) != batch.status:
        return HttpResponse(headers={"HX-Refresh": "true"})
    return render(request, "sending/_progress.html", _shown(batch))


@require_GET
@member_required()
def waiting(request: AccountRequest, pk: int) -> HttpResponse:
    batch = _batch(request, pk)
    return render(request, "sending/_waiting.html", {"batch": batch} | _waiting(batch))


@require_POST
@member_required(Permission.WORK)
def pause(request: AccountRequest, pk: int) -> HttpResponse:
    batch = _batch(request, pk)
    with reporting(request, _("The batch is paused. What is already on its way to a mail server still arrives.")):
        batches.pause(batch, by=request.actor)
    return redirect("sending:batch", pk)


@require_POST
@member_required(Permission.WORK)
def resume(request: AccountRequest, pk: int) -> HttpResponse:
    batch = _batch(request, pk)
    with reporting(request, _("The batch goes on.")):
        batches.resume(batch, by=request.actor, now=timezone.now())
    return redirect("sending:batch", pk)


@require_POST
@member_required(Permission.WORK)
def cancel(request: AccountRequest, pk: int) -> HttpResponse:
    batch = _batch(request, pk)
    with reporting(request, _("The batch is canceled. Nothing more of it is sent.")):
        batches.cancel(batch, by=request.actor, now=timezone.now())
    return redirect("sending:batch", pk)


@require_POST
@member_required(Permission.WORK)
def send_unknown_again(request: AccountRequest, pk: int) -> HttpResponse:
    batch = _batch(request, pk)
    done = ngettext("%(count)d message is sent again.", "%(count)d messages are sent again.", batch.unknown)
    with reporting(request, done % {"count": batch.unknown}):
        batches.send_unknown_again(batch, by=request.actor, now=timezone.now())
    return redirect("sending:batch", pk)


@require_POST
@member_required(Permission.WORK)
def send_to_rest(request: AccountRequest, pk: int) -> HttpResponse:
    batch = _batch(request, pk)
    with reporting(request, _("A batch to the rest of the list is on its way.")):
        pk = rests.send(batch, by=request.actor, now=timezone.now()).pk
    return redirect("sending:batch", pk)


@require_GET
@member_required()
def export(request: AccountRequest, pk: int) -> HttpResponseBase:
    """Send what became of every message, as a table."""
    batch = _batch(request, pk)
    status = request.GET.get("status", "")
    rows = Message.objects.filter(batch=batch)
    if status in Status.values:
        rows = rows.filter(status=status)
    headings = [_("Message"), _("Recipient"), _("Status"), _("Attempts"), _("Accepted"), _("Finished"), _("Last reply")]
    return csv_download(f"batch-{batch.pk}.csv", headings, _cells(rows))


def _batch(request: AccountRequest, pk: int) -> Batch:
    rows = Batch.objects.for_account(request.account).select_related("content", "sender", "tag", "list")
    return get_object_or_404(rows, pk=pk)


def _shown(batch: Batch) -> dict[str, Any]:
    url = reverse("sending:batch", args=[batch.pk])
    shares = [
        {
            "status": share.status,
            "count": share.count,
            "percent": share.percent,
            "icon": LOOKS[share.status][0],
            "colour": LOOKS[share.status][1],
            "url": f"{url}?status={share.status}#messages",
        }
        for share in reports.shares(batch)
    ]
    return {"batch": batch, "shares": shares}


def _waiting(batch: Batch) -> dict[str, Any]:
    destinations, more = reports.waits_of(batch, now=timezone.now(), most=MOST_DESTINATIONS)
    return {"destinations": destinations, "more": more}


def _readings(batch: Batch) -> dict[str, Any]:
    """Return what its readers did, and which links they followed."""
    if not batch.content.is_tracked:
        return {}
    counts = LinkCount.objects.filter(batch=batch)
    links = list(counts.by_url()[: MOST_LINKS + 1])
    return {
        "readings": counts.aggregate(**{name: Coalesce(Sum(name), 0) for name in LinkCount.NUMBERS}),
        "links": links[:MOST_LINKS],
        "has_more_links": len(links) > MOST_LINKS,
    }


def _messages(request: AccountRequest, batch: Batch, *, query: str, status: str) -> Slice:
    """Return a page of the batch's messages, by key: neither counted nor skipped, so a million is as quick as ten."""
    rows = Message.objects.for_account(request.account).filter(batch=batch)
    if status in Status.values:
        # Counted already: a status that nothing is in needs no look at all the others.
        share = next(share for share in reports.shares(batch) if share.status == status)
        rows = rows.filter(status=status) if share.count else rows.none()
    if query:
        return sliced(request, rows.to_recipients(query), place="key")  # a list holds an address once
    return sliced(request, rows, place="id", descending=True)


def _cells(rows: MessageQuerySet) -> Iterator[list[object]]:
    columns = rows.values_list(
        "pk", "recipient", "status", "attempts", "created_at", "finished_at", "last_reply"
    ).order_by("pk")
    last = 0
    while found := list(columns.filter(pk__gt=last)[:EXPORTED_AT_ONCE]):
        for *fields, accepted, finished, reply in found:
            yield [*fields, _utc(accepted), _utc(finished), " ".join(reply.split())]
        last = found[-1][0]


def _utc(moment: datetime | None) -> str:
    """Return it as programs and people in other time zones read it."""
    return moment.isoformat(timespec="seconds") if moment else ""
