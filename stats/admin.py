"""Operations: the figures per day of every account, and of the platform as a whole."""

from typing import Any

from django.contrib import admin
from django.db.models import Sum
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse

from accounts.admin import ReadOnly
from stats.models import DailyFigure
from stats.reports.figures import NUMBERS


@admin.register(DailyFigure)
class DailyFigureAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["day", "account", "sender", "tag", *NUMBERS]
    list_filter = ["day"]
    list_select_related = ["account", "sender", "tag"]
    search_fields = ["account__name", "sender__address", "tag__name"]
    date_hierarchy = "day"
    ordering = ["-day", "-total"]
    show_full_result_count = False
    fields = ["day", "account", "sender", "tag", *NUMBERS]

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """Show the sums of all rows that were filtered for: a day, an account, a sender."""
        answer = super().changelist_view(request, extra_context)
        if isinstance(answer, TemplateResponse) and answer.context_data and "cl" in answer.context_data:
            rows = answer.context_data["cl"].queryset.order_by()
            answer.context_data["sums"] = rows.aggregate(*(Sum(number) for number in NUMBERS))
        return answer
