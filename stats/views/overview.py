"""The first page: the way to the first mail, afterwards how the account stands."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts import quotas
from accounts.http import AccountRequest, member_required
from accounts.models import Account, Permission
from stats.reports import figures, standing
from stats.reports.first_steps import first_steps, has_sent

CHART_DAYS = 7


@require_GET
@member_required()
def overview(request: AccountRequest) -> HttpResponse:
    if has_sent(request.account):
        return _dashboard(request)
    return render(request, "stats/first_steps.html", {"steps": first_steps(request.actor)})


@require_GET
@member_required()
def running(request: AccountRequest) -> HttpResponse:
    """Answer with the card of running batches alone, for its refresh."""
    return render(request, "stats/_running.html", _batches(request.account))


def _dashboard(request: AccountRequest) -> HttpResponse:
    account, now = request.account, timezone.now()
    today = quotas.today(account, now)
    report = figures.report(account, figures.last_days(CHART_DAYS, today=today), today=today)
    allowances = quotas.allowances(account, now=now)
    context = {
        "report": report,
        "chart": figures.trend(report.days),
        "daily": allowances[0],
        "monthly": allowances[1],
        "warnings": standing.warnings(account, allowances, now=now),
        "may_send": request.actor.may(Permission.WORK),
        **_batches(account),
    }
    return render(request, "stats/overview.html", context)


def _batches(account: Account) -> dict[str, Any]:
    batches = standing.running_batches(account)
    return {"batches": batches, "is_moving": any(batch.status in standing.MOVING for batch in batches)}
