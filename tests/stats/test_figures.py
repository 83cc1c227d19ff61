"""Figures of an account, down to the rates of the manual's own table."""

from datetime import date, timedelta

import pytest

from sending.models import Status
from stats.reports.figures import Figures, Line, Period, daily, last_days, report, trend
from stats.rollups import roll_up
from tests.factories import AccountFactory, DailyFigureFactory, EventFactory, SenderFactory, TagFactory

TODAY = date(2026, 11, 9)
WEEK = last_days(7, today=TODAY)

# The table of the 2015 manual: date, total, success, failed, invalid, success rate, failure rate.
# Its rates are single-precision print-outs.
MANUAL = [
    (date(2015, 11, 12), 29050, 8438, 1578, 274, 0.29323047, 0.009432014),
    (date(2015, 11, 13), 28, 2, 4, 4, 0.083333336, 0.14285715),
    (date(2015, 11, 14), 38138, 9286, 3601, 1452, 0.25312108, 0.038072266),
    (date(2015, 11, 15), 0, 0, 0, 0, 0.0, 0.0),
    (date(2015, 11, 16), 175, 86, 52, 24, 0.56953645, 0.13714285),
    (date(2015, 11, 17), 4056, 592, 757, 556, 0.16914286, 0.13708086),
    (date(2015, 11, 18), 328, 81, 16, 12, 0.25632912, 0.036585364),
]

pytestmark = pytest.mark.django_db


def test_table_of_the_manual_comes_out_of_a_ledger_with_its_counts():
    sender = SenderFactory()
    for day, total, success, failed, invalid, *_rates in MANUAL:
        outcomes = {"sender": sender, "day": day, "was": Status.QUEUED}
        EventFactory(sender=sender, day=day, n=total)
        EventFactory(**outcomes, status=Status.DELIVERED, n=success)
        EventFactory(**outcomes, status=Status.FAILED, n=failed)
        EventFactory(**outcomes, status=Status.BOUNCED, invalid=True, n=invalid)

    roll_up()

    lines = daily(sender.account, Period(MANUAL[0][0], MANUAL[-1][0]))
    counts = [
        (line.of, *(getattr(line.figures, name) for name in ("total", "success", "failed", "invalid")))
        for line in lines
    ]
    rates = [rate for line in lines for rate in (line.figures.success_rate, line.figures.failure_rate)]
    assert counts == [row[:5] for row in MANUAL]
    assert rates == pytest.approx([rate for row in MANUAL for rate in row[5:]], abs=5e-8)


@pytest.mark.parametrize("figures", [Figures(), Figures(total=3, invalid=3), Figures(total=0, success=1)])
def test_rate_of_nothing_is_zero(figures):
    assert figures.success_rate == 0.0


def test_days_without_mail_stand_in_the_table():
    figure = DailyFigureFactory(day=TODAY - timedelta(days=2), total=4, success=3, failed=1)

    found = report(figure.account, WEEK, today=TODAY)

    assert [line.of for line in found.days] == [TODAY - timedelta(days=n) for n in range(7, 0, -1)]
    assert [line.figures.total for line in found.days] == [0, 0, 0, 0, 0, 4, 0]
    assert found.sums == Figures(4, 3, 1, 0)
    assert found.today == Figures()


def test_today_is_apart_from_the_sums():
    sender = SenderFactory()
    DailyFigureFactory(sender=sender, day=TODAY, total=5)
    DailyFigureFactory(sender=sender, day=TODAY - timedelta(days=1), total=7)

    found = report(sender.account, WEEK, today=TODAY)

    assert (found.today.total, found.sums.total) == (5, 7)
    assert [line.figures.total for line in found.senders] == [7]


def test_break_downs_by_sender_and_tag():
    sender = SenderFactory()
    other = SenderFactory(account=sender.account)
    tag = TagFactory(account=sender.account, name="spring")
    yesterday = TODAY - timedelta(days=1)
    DailyFigureFactory(sender=sender, day=yesterday, total=1)
    DailyFigureFactory(sender=sender, day=WEEK.first, total=2, tag=tag)
    DailyFigureFactory(sender=other, day=yesterday, total=10, tag=tag)

    found = report(sender.account, WEEK, today=TODAY)

    assert found.senders == [Line(other.address, Figures(10)), Line(sender.address, Figures(3))]
    assert found.tags == [Line("spring", Figures(12)), Line(None, Figures(1))]


def test_sender_and_tag_choose_the_figures():
    sender = SenderFactory()
    other = SenderFactory(account=sender.account)
    tag = TagFactory(account=sender.account)
    day = TODAY - timedelta(days=1)
    DailyFigureFactory(sender=sender, day=day, total=1)
    DailyFigureFactory(sender=sender, day=day, total=2, tag=tag)
    DailyFigureFactory(sender=other, day=day, total=4, tag=tag)

    def total(**filters):
        return report(sender.account, WEEK, today=TODAY, **filters).sums.total

    assert (total(), total(sender=sender), total(tag=tag), total(sender=sender, tag=tag)) == (7, 3, 6, 2)


def test_figures_of_strangers_stay_theirs():
    figure = DailyFigureFactory(day=TODAY - timedelta(days=1), total=4)
    account = AccountFactory()

    assert report(account, WEEK, today=TODAY).sums == Figures()
    assert report(account, WEEK, today=TODAY, sender=figure.sender).sums == Figures()


@pytest.mark.parametrize("rows", [1, 3])
def test_report_takes_three_queries_however_much_there_is(rows, django_assert_num_queries):
    account = AccountFactory()
    for n in range(rows):
        sender = SenderFactory(account=account)
        DailyFigureFactory(sender=sender, day=TODAY - timedelta(days=n + 1), total=1, tag=TagFactory(account=account))

    with django_assert_num_queries(3):
        assert report(account, WEEK, today=TODAY).sums.total == rows


def test_trend_holds_what_the_table_says():
    found = trend([Line(date(2026, 11, 1), Figures(4, 3, 1, 0)), Line(date(2026, 11, 2), Figures())])

    assert found["labels"] == ["11-01", "11-02"]
    assert [series["data"] for series in found["series"]] == [[4, 0], [3, 0], [1, 0], [0, 0]]
