"""Recipient lists: all of them, and each with its recipients and imports."""

from typing import Any

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.db.models.functions import Lower
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Account, Permission
from recipients import suppression
from recipients.forms import ListForm, UploadForm
from recipients.http import PAGE_SIZE, sliced
from recipients.models import Recipient, RecipientList, Suppression
from recipients.services import lists

SHOWN_IMPORTS = 10


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    query = request.GET.get("q", "").strip()
    found = RecipientList.objects.for_account(request.account).order_by("-created_at", "-pk")
    if query:
        found = found.filter(Q(name__icontains=query) | Q(alias__icontains=query) | Q(description__icontains=query))
    page = Paginator(found, PAGE_SIZE).get_page(request.GET.get("page"))
    return render(
        request,
        "recipients/index.html",
        {"page": page, "query": query, "may_change": request.actor.may(Permission.WORK)},
    )


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def create(request: AccountRequest) -> HttpResponse:
    form = ListForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The list is ready. Upload its recipients now."), form=form):
            made = lists.create(**form.cleaned_data, by=request.actor, now=timezone.now())
            return redirect("recipients:list", made.pk)
    return render(request, "recipients/list_form.html", {"form": form, "list": None})


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def edit(request: AccountRequest, pk: int) -> HttpResponse:
    current = own_list(request, pk)
    initial = {"name": current.name, "alias": current.alias, "description": current.description}
    form = ListForm(request.POST or None, initial=initial)
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The list is changed."), form=form):
            lists.edit(current, **form.cleaned_data, by=request.actor)
            return redirect("recipients:list", pk)
    return render(request, "recipients/list_form.html", {"form": form, "list": current})


@require_POST
@member_required(Permission.WORK)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    current = own_list(request, pk)
    try:
        with reporting(request, _("The list “%(name)s” is deleted.") % {"name": current.name}):
            lists.delete(current, by=request.actor, now=timezone.now())
    except RecipientList.DoesNotExist:  # a second click
        pass
    return redirect("recipients:index")


@require_GET
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    current = own_list(request, pk)
    query, show = request.GET.get("q", "").strip().replace("\0", ""), request.GET.get("show", "")
    found = sliced(request, _matching(current.recipients.all(), query, show, request.account), place="key")
    marks = suppression.marks(request.account.pk, [row.key for row in found.rows])
    return render(
        request,
        "recipients/list.html",
        {
            "list": current,
            "query": query,
            "show": show,
            "slice": found,
            "rows": [(row, marks.get(row.key, ())) for row in found.rows],
            "upload_form": UploadForm(),
            "may_change": request.actor.may(Permission.WORK),
            **imports_shown(current),
        },
    )


def own_list(request: AccountRequest, pk: int) -> RecipientList:
    return get_object_or_404(RecipientList.objects.for_account(request.account), pk=pk)


def imports_shown(current: RecipientList) -> dict[str, Any]:
    """Return what the section of imports shows; it asks again while one of them is not over."""
    found = list(current.imports.order_by("-id")[:SHOWN_IMPORTS])
    return {"imports": found, "is_running": not all(job.is_finished for job in found)}


def _matching(rows: QuerySet[Recipient], query: str, show: str, account: Account) -> QuerySet[Recipient]:
    """Return those with the text in the address, or in a name; by address, which the index has in order.

    :param show: `invalid` for those without a mailbox, `suppressed` for all that some mail does not go to.
    """
    rows = rows.annotate(key=Lower("address"))
    suppressed = Suppression.objects.for_account(account)
    if show == "invalid":
        rows = rows.filter(key__in=suppressed.filter(reason=Suppression.Reason.BOUNCED).values("address"))
    elif show == "suppressed":
        rows = rows.filter(key__in=suppressed.values("address"))
    if not query:
        return rows
    return rows.filter(
        Q(key__contains=query.lower())
        | Q(variables__UserName__icontains=query)
        | Q(variables__NickName__icontains=query)
    )
