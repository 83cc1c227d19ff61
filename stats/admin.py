"""Operations: the figures per day of every account."""

from django.contrib import admin

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
    exclude = [f"settled_{number}" for number in NUMBERS]
