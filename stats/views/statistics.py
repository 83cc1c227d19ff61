"""The statistics page and its export."""

import csv
from typing import Any

from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts import quotas
from accounts.http import AccountRequest, member_required
from stats.forms import StatisticsForm
from stats.reports import figures

BOM = "\ufeff"  # without it spreadsheets take UTF-8 for their own encoding


@require_GET
@member_required()
def statistics(request: AccountRequest) -> HttpResponse:
    form = _form(request)
    report = figures.report(request.account, form.period, today=form.today, **_filters(form))
    context = {
        "form": form,
        "period": form.period,
        "report": report,
        "chart": figures.trend(report.days),
        "shown_shares": figures.SHOWN_SHARES,
        "is_empty": not (report.sums.total or report.today.total),
    }
    return render(request, "stats/statistics.html", context)


@require_GET
@member_required()
def export(request: AccountRequest) -> HttpResponse:
    """Answer with the table of days as CSV; the rates are ratios, as the manual prints them."""
    form = _form(request)
    if not form.is_valid():
        return redirect(f"{reverse('stats:statistics')}?{request.GET.urlencode()}")
    period = form.period
    name = f"statistics-{period.first}-{period.last}.csv"
    answer = HttpResponse(
        BOM,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": f'attachment; filename="{name}"'},
    )
    out = csv.writer(answer)
    headings = (
        _("Date"),
        _("Total"),
        _("Success"),
        _("Failed"),
        _("Invalid addresses"),
        _("Success rate"),
        _("Failure rate"),
        _("Opens"),
        _("Unique opens"),
        _("Clicks"),
        _("Unique clicks"),
        _("Open rate"),
        _("Click rate"),
    )
    out.writerow(headings)
    for line in figures.daily(request.account, period, **_filters(form)):
        day = line.figures
        rates = f"{day.success_rate:.9f}", f"{day.failure_rate:.9f}"
        readings = day.opens, day.unique_opens, day.clicks, day.unique_clicks
        read_rates = f"{day.open_rate:.9f}", f"{day.click_rate:.9f}"
        out.writerow([line.of, day.total, day.success, day.failed, day.invalid, *rates, *readings, *read_rates])
    return answer


def _form(request: AccountRequest) -> StatisticsForm:
    return StatisticsForm(request.GET, account=request.account, today=quotas.today(request.account, timezone.now()))


def _filters(form: StatisticsForm) -> dict[str, Any]:
    return {name: form.cleaned_data.get(name) for name in ("sender", "tag")} if form.is_valid() else {}
