"""The audit log: who did what to which thing, when, from where."""

from datetime import date, datetime, time, timedelta

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.forms import AuditFilterForm
from accounts.http import AccountRequest, member_required
from accounts.models import AuditEntry

ENTRIES_A_PAGE = 20


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    form = AuditFilterForm(request.GET)
    entries = request.account.audit_entries.order_by("-at", "-pk")
    if form.is_valid():
        entries = _filtered(entries, **form.cleaned_data)
    actions = request.account.audit_entries.order_by("action").values_list("action", flat=True).distinct()
    return render(
        request,
        "accounts/audit.html",
        {
            "form": form,
            "actions": actions,
            "page": Paginator(entries, ENTRIES_A_PAGE).get_page(request.GET.get("page")),
            "is_filtered": any(request.GET.get(name) for name in form.fields),
        },
    )


def _filtered(
    entries: QuerySet[AuditEntry], *, q: str, action: str, since: date | None, until: date | None
) -> QuerySet[AuditEntry]:
    if q:
        entries = entries.filter(Q(actor__icontains=q) | Q(target__icontains=q))
    if action:
        entries = entries.filter(action=action)
    if since:
        entries = entries.filter(at__gte=_midnight(since))
    if until:
        entries = entries.filter(at__lt=_midnight(until + timedelta(days=1)))
    return entries


def _midnight(day: date) -> datetime:
    return timezone.make_aware(datetime.combine(day, time.min))
