"""Figures per day."""

from datetime import timedelta
from typing import Any

from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import quotas
from accounts.api import paging
from accounts.api.fields import Shape, Text
from accounts.api.schema import shown_as
from accounts.api.views import ApiView
from accounts.models import Scope
from senders.models import Sender, Tag
from stats.reports import figures
from stats.reports.figures import LONGEST_PERIOD, Figures, Period

USUAL_DAYS = 7
DAY = {
    "date": "2026-11-25",
    "total": 29050,
    "success": 8438,
    "failed": 20338,
    "invalid": 274,
    "opens": 4020,
    "unique_opens": 3110,
    "clicks": 910,
    "unique_clicks": 640,
    "success_rate": 0.29323,
    "failure_rate": 0.009432,
    "open_rate": 0.368571,
    "click_rate": 0.075847,
}


class FiguresDetail(serializers.Serializer[Figures]):
    """success_rate = success ÷ (total − invalid); failure_rate = invalid ÷ total; open_rate = unique_opens ÷ success.

    Opens and clicks are those of tracked messages, without those of machines; they count for the day of their message.
    """

    total = serializers.IntegerField(help_text="Messages that were accepted on the day.")
    success = serializers.IntegerField(help_text="Delivered.")
    failed = serializers.IntegerField(help_text="Refused, given up, or suppressed.")
    invalid = serializers.IntegerField(help_text="There is no such mailbox.")
    opens = serializers.IntegerField(help_text="How often tracked messages were opened.")
    unique_opens = serializers.IntegerField(help_text="How many of them were opened.")
    clicks = serializers.IntegerField(help_text="How often their links were followed.")
    unique_clicks = serializers.IntegerField(help_text="In how many of them a link was followed.")
    success_rate = serializers.FloatField()
    failure_rate = serializers.FloatField()
    open_rate = serializers.FloatField()
    click_rate = serializers.FloatField(help_text="unique_clicks ÷ success")


class DayFigures(FiguresDetail):
    date = serializers.DateField()


@shown_as({"days": [DAY], "sum": {name: value for name, value in DAY.items() if name != "date"}})
class Statistics(serializers.Serializer[Any]):
    """Late bounces correct the day of their message. Days are those of the account's time zone."""

    days = DayFigures(many=True)
    sum = FiguresDetail()


class Question(Shape):
    first = serializers.DateField(required=False, help_text="Left out: six days before `last`.")
    last = serializers.DateField(required=False, help_text="Left out: today.")
    sender = Text(required=False, max_length=254, help_text="Only this sender address.")
    tag = Text(required=False, max_length=128, help_text="Only this tag, by name.")

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        """Fill in what was left out."""
        last = attrs.setdefault("last", self.context["today"])
        if last.toordinal() < USUAL_DAYS:
            raise serializers.ValidationError({"last": _("Choose a later day.")})
        first = attrs.setdefault("first", last - timedelta(days=USUAL_DAYS - 1))
        if first > last:
            raise serializers.ValidationError({"first": _("The first day must not come after the last one.")})
        if last - first >= timedelta(days=LONGEST_PERIOD):
            raise serializers.ValidationError({"first": _("Choose %(days)s days at most.") % {"days": LONGEST_PERIOD}})
        return attrs


class StatisticsView(ApiView):
    scope = Scope.STATISTICS

    @extend_schema(
        operation_id="statistics_read",
        summary="What became of the messages of each day",
        parameters=[Question],
        responses=Statistics,
        tags=["statistics"],
    )
    def get(self, request: Request) -> Response:
        asked = paging.asked(Question, request, today=quotas.today(self.account, timezone.now()))
        senders = Sender.objects.filter(account=self.account)
        tags = Tag.objects.filter(account=self.account)
        lines = figures.daily(
            self.account,
            Period(asked["first"], asked["last"]),
            sender=_own(senders.filter(address=asked["sender"].lower()), "sender") if "sender" in asked else None,
            tag=_own(tags.filter(name__iexact=asked["tag"]), "tag") if "tag" in asked else None,
        )
        days = [{**FiguresDetail(line.figures).data, "date": line.of} for line in lines]
        sums = sum((line.figures for line in lines), Figures())
        return Response({"days": days, "sum": FiguresDetail(sums).data})


def _own(rows: Any, field: str) -> Any:
    """Return the newest of the name; deleted ones have their figures, too."""
    found = rows.order_by("-pk").first()
    if found is None:
        raise serializers.ValidationError({field: _("You have none of this name.")})
    return found
