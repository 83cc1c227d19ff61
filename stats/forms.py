"""The filters of the statistics page."""

from datetime import date, timedelta
from typing import Any

from django import forms
from django.db.models import F
from django.http import QueryDict
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from accounts.models import Account
from senders.models import Sender, Tag
from stats.reports.figures import LONGEST_PERIOD, Period, last_days

DEFAULT_DAYS = 7  # the manual's statistics show seven days
CUSTOM = "custom"
RANGES = [
    ("7", gettext_lazy("Last 7 days")),
    ("30", gettext_lazy("Last 30 days")),
    ("90", gettext_lazy("Last 90 days")),
    (CUSTOM, gettext_lazy("Choose the days")),
]


class OwnChoice(forms.ModelChoiceField):  # type: ignore[type-arg]
    """A sender or tag of the account; deleted ones have their figures, too."""

    def label_from_instance(self, obj: Any) -> str:
        return _("%(name)s (deleted)") % {"name": obj} if obj.deleted_at else str(obj)


def _day() -> forms.DateField:
    return forms.DateField(required=False, widget=forms.DateInput(attrs={"type": "date"}, format="%Y-%m-%d"))


class StatisticsForm(forms.Form):
    range = forms.ChoiceField(label=gettext_lazy("Days"), choices=RANGES, required=False)
    start = _day()
    end = _day()
    sender = OwnChoice(
        label=gettext_lazy("Sender address"), queryset=Sender.objects.none(), required=False, empty_label=""
    )
    tag = OwnChoice(label=gettext_lazy("Tag"), queryset=Tag.objects.none(), required=False, empty_label="")

    def __init__(self, query: QueryDict, *, account: Account, today: date) -> None:
        self.today = today
        self.default = last_days(DEFAULT_DAYS, today=today)
        super().__init__(self._completed(query))
        senders, tags = self.fields["sender"], self.fields["tag"]
        assert isinstance(senders, OwnChoice)
        assert isinstance(tags, OwnChoice)
        in_order = F("deleted_at").desc(nulls_first=True)
        senders.queryset = Sender.objects.filter(account=account).order_by(in_order, "address")
        senders.empty_label = _("All sender addresses")
        tags.queryset = Tag.objects.filter(account=account).order_by(in_order, "name")
        tags.empty_label = _("All tags")
        self.fields["start"].label, self.fields["end"].label = pgettext("day", "From"), pgettext("day", "To")
        for name in ("start", "end"):
            self.fields[name].widget.attrs["max"] = self.default.last.isoformat()

    def _completed(self, query: QueryDict) -> dict[str, str]:
        """Return what was asked with what was left out."""
        usual = {
            "range": str(DEFAULT_DAYS),
            "start": self.default.first.isoformat(),
            "end": self.default.last.isoformat(),
        }
        return usual | {name: str(value) for name, value in query.items() if value}

    def clean(self) -> dict[str, Any]:
        answers = super().clean() or {}
        start, end = answers.get("start"), answers.get("end")
        if answers.get("range") == CUSTOM and start and end:
            self._check(start, end)
        return answers

    def _check(self, start: date, end: date) -> None:
        if end >= self.today:
            self.add_error("end", _("Choose yesterday or an earlier day; today's figures are shown apart."))
        elif start > end:
            self.add_error("start", _("The first day must not come after the last one."))
        elif end - start >= timedelta(days=LONGEST_PERIOD):
            self.add_error("start", _("Choose %(days)s days at most.") % {"days": LONGEST_PERIOD})

    @property
    def is_custom(self) -> bool:
        return bool(self["range"].value() == CUSTOM)

    @property
    def period(self) -> Period:
        """The days asked for; the usual ones where the question cannot be answered."""
        if not self.is_valid():
            return self.default
        if self.is_custom:
            return Period(self.cleaned_data["start"], self.cleaned_data["end"])
        return last_days(int(self.cleaned_data["range"]), today=self.today)
