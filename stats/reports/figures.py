"""An account's figures per day, with their sums and break-downs."""

from dataclasses import astuple, dataclass
from datetime import date, timedelta
from typing import Any, Generic, TypeVar

from django.db.models import Q, QuerySet, Sum
from django.utils.translation import gettext as _

from accounts.models import Account
from domains.models import Domain
from senders.models import Sender, Tag
from stats.models import DailyFigure

LONGEST_PERIOD = 366  # days: a year, and what a chart can still show
SHOWN_SHARES = 50  # senders or tags in a break-down; the largest ones

Key = TypeVar("Key")
READINGS = ("opens", "unique_opens", "clicks", "unique_clicks")
NUMBERS = ("total", "success", "failed", "invalid", *READINGS)


@dataclass(frozen=True, slots=True)
class Figures:
    """The four counts and the two rates of the manual's table (2015 manual, "Statistics").

    Its seven rows give away how the rates come about: 29050 messages, 8438 delivered and 274 invalid are
    0.29323047 and 0.009432014. So invalid addresses do not spoil the success rate, and the failure rate
    speaks of them alone. What readers did stands beside them; its rates are those of delivered messages.
    """

    total: int = 0
    success: int = 0
    failed: int = 0
    invalid: int = 0
    opens: int = 0
    unique_opens: int = 0
    clicks: int = 0
    unique_clicks: int = 0

    @property
    def success_rate(self) -> float:
        """Delivered of all that went to valid addresses, 0–1."""
        return _ratio(self.success, self.total - self.invalid)

    @property
    def failure_rate(self) -> float:
        """Invalid addresses of all, 0–1."""
        return _ratio(self.invalid, self.total)

    @property
    def open_rate(self) -> float:
        """Opened by their readers of all that were delivered, 0–1."""
        return _ratio(self.unique_opens, self.success)

    @property
    def click_rate(self) -> float:
        """Of all that were delivered, those in which a link was followed, 0–1."""
        return _ratio(self.unique_clicks, self.success)

    @property
    def has_readings(self) -> bool:
        return bool(self.opens or self.clicks)

    def __add__(self, other: "Figures") -> "Figures":
        return Figures(*(mine + theirs for mine, theirs in zip(astuple(self), astuple(other), strict=True)))


@dataclass(frozen=True, slots=True)
class Period:
    """Days from `first` to `last`, both included."""

    first: date
    last: date

    @property
    def days(self) -> list[date]:
        return [self.first + timedelta(days=n) for n in range((self.last - self.first).days + 1)]


@dataclass(frozen=True, slots=True)
class Line(Generic[Key]):
    """A line of a table: the figures of a day, a sender address or a tag."""

    of: Key
    figures: Figures


@dataclass(frozen=True, slots=True)
class Report:
    """Everything the statistics page shows; `today` is apart, because the day is not over."""

    days: list[Line[date]]
    today: Figures
    senders: list[Line[str]]
    tags: list[Line[str | None]]

    @property
    def sums(self) -> Figures:
        return sum((line.figures for line in self.days), Figures())


def last_days(n: int, *, today: date) -> Period:
    """Return the `n` days before today."""
    return Period(today - timedelta(days=n), today - timedelta(days=1))


def daily(
    account: Account,
    period: Period,
    *,
    sender: Sender | None = None,
    tag: Tag | None = None,
    domain: Domain | None = None,
) -> list[Line[date]]:
    """Return every day of the period with its figures; zeros where nothing was sent."""
    rows = _rows(account, sender, tag).filter(day__range=(period.first, period.last))
    rows = rows.filter(sender__domain=domain) if domain else rows
    return _by_day(rows, period.days)


def report(
    account: Account, period: Period, *, today: date, sender: Sender | None = None, tag: Tag | None = None
) -> Report:
    rows = _rows(account, sender, tag)
    in_period = Q(day__range=(period.first, period.last))
    *days, so_far = _by_day(rows.filter(in_period | Q(day=today)), [*period.days, today])
    shown = rows.filter(in_period)
    return Report(
        days=days,
        today=so_far.figures,
        senders=_shares(shown, "sender__address"),
        tags=_shares(shown, "tag__name"),
    )


def trend(lines: list[Line[date]]) -> dict[str, Any]:
    """Return the days as the pages' charts read them."""
    names = {"total": _("Total"), "success": _("Success"), "failed": _("Failed"), "invalid": _("Invalid addresses")}
    colours = {"total": "primary", "success": "success", "failed": "warning", "invalid": "danger"}
    return {
        "labels": [f"{line.of:%m-%d}" for line in lines],
        "series": [
            {"name": name, "color": colours[number], "data": [getattr(line.figures, number) for line in lines]}
            for number, name in names.items()
        ],
    }


def _rows(account: Account, sender: Sender | None, tag: Tag | None) -> QuerySet[DailyFigure]:
    rows = DailyFigure.objects.filter(account=account)
    rows = rows.filter(sender=sender) if sender else rows
    return rows.filter(tag=tag) if tag else rows


def _by_day(rows: QuerySet[DailyFigure], days: list[date]) -> list[Line[date]]:
    found = {line.of: line for line in _summed(rows, "day", limit=len(days))}
    return [found.get(day, Line(day, Figures())) for day in days]


def _shares(rows: QuerySet[DailyFigure], name: str) -> list[Line[Any]]:
    """Return the largest first; an address or tag that was deleted and made again is one line."""
    return _summed(rows, name, limit=SHOWN_SHARES)


def _summed(rows: QuerySet[DailyFigure], name: str, *, limit: int) -> list[Line[Any]]:
    sums = [Sum(number) for number in NUMBERS]
    grouped = rows.values(name).annotate(*sums).order_by("-total__sum", name)[:limit]
    return [Line(row[name], Figures(*(row[f"{number}__sum"] for number in NUMBERS))) for row in grouped]


def _ratio(part: int, whole: int) -> float:
    return part / whole if whole > 0 else 0.0
