"""Pages of domains: the list, a new one, its records with what DNS says of them."""

from typing import Any

from django.contrib import messages
from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from domains.checks import advice
from domains.checks.decision import SUSPEND_AFTER
from domains.forms import DomainForm
from domains.models import Domain
from domains.services import domains
from mailpush.lib.refusals import Refusal

ROWS_A_PAGE = 20


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    search = request.GET.get("q", "").strip()
    rows = Domain.objects.for_account(request.account).annotate(
        sender_count=Count("senders", filter=Q(senders__deleted_at=None))
    )
    if search:
        rows = rows.filter(name__icontains=search)
    page = Paginator(rows.order_by("name"), ROWS_A_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "domains/index.html",
        {"page_obj": page, "search": search, "may_change": request.actor.may(Permission.SETUP)},
    )


@require_http_methods(["GET", "POST"])
@member_required(Permission.SETUP)
def create(request: AccountRequest) -> HttpResponse:
    form = DomainForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The domain is added. Now publish its records."), form=form):
            domain, _advice = domains.create(form.cleaned_data["name"], by=request.actor, now=timezone.now())
            return redirect("domains:detail", pk=domain.pk)
    return render(request, "domains/create.html", {"form": form})


@require_GET
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    return render(request, "domains/detail.html", _shown(request, _domain(request, pk)))


@require_GET
@member_required()
def records(request: AccountRequest, pk: int) -> HttpResponse:
    """Answer with the part of the page that changes, for an open page that looks now and then."""
    return render(request, "domains/records.html", _shown(request, _domain(request, pk)))


@require_POST
@member_required(Permission.SETUP)
def verify(request: AccountRequest, pk: int) -> HttpResponse:
    domain, notice = _domain(request, pk), ""
    try:
        domain = domains.verify(domain, by=request.actor, now=timezone.now())
    except Refusal as refusal:
        notice = refusal.message
    if "HX-Request" in request.headers:
        return render(request, "domains/records.html", {**_shown(request, domain), "notice": notice})
    if notice:
        messages.error(request, notice)
    return redirect("domains:detail", pk=pk)


@require_POST
@member_required(Permission.SETUP)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    domain = _domain(request, pk)
    try:
        domains.delete(domain, by=request.actor, now=timezone.now())
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return redirect("domains:detail", pk=pk)
    messages.success(request, _("%(name)s is deleted.") % {"name": domain.display_name})
    return redirect("domains:index")


def _domain(request: AccountRequest, pk: int) -> Domain:
    return get_object_or_404(Domain.objects.for_account(request.account).with_rows(), pk=pk)


def _shown(request: AccountRequest, domain: Domain) -> dict[str, Any]:
    is_failing = domain.status == Domain.Status.VERIFIED and domain.failing_since is not None
    return {
        "domain": domain,
        "records": domains.records_of(domain),
        "advice": advice.of(domain),
        "stops_at": domain.failing_since + SUSPEND_AFTER if is_failing and domain.failing_since else None,
        "may_change": request.actor.may(Permission.SETUP),
        "sender_count": domain.senders.filter(deleted_at=None).count(),
    }
