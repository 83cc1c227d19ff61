"""Operators look at everybody's figures, and change none."""

from datetime import date

import pytest

from stats.models import DailyFigure
from tests.accounts.test_admin import browser_of, staff
from tests.factories import DailyFigureFactory, TagFactory

pytestmark = pytest.mark.django_db

URL = "/admin/stats/dailyfigure/"


@pytest.fixture
def operator():
    return browser_of(staff(), with_second_factor=True)


def test_figures_of_all_accounts_with_their_sums(operator):
    figure = DailyFigureFactory(day=date(2026, 11, 2), total=1000, success=900, tag=TagFactory(name="spring"))
    DailyFigureFactory(day=date(2026, 11, 2), total=234, success=200)
    DailyFigureFactory(day=date(2026, 11, 3), total=7)

    text = operator.get(URL, {"day": "2026-11-02"}).content.decode()

    assert figure.sender.address in text
    assert "spring" in text
    assert "Together: 1,234 messages, 1,100 delivered" in text


def test_no_figures_no_sums(operator):
    assert "Together" not in operator.get(URL).content.decode()


@pytest.mark.parametrize("rows", [1, 3])
def test_list_takes_as_many_queries_for_many_rows(operator, rows, django_assert_max_num_queries):
    DailyFigureFactory.create_batch(rows)

    with django_assert_max_num_queries(12):
        operator.get(URL)


def test_figures_are_read_only(operator):
    figure = DailyFigureFactory(total=5)

    assert operator.get(f"{URL}add/").status_code == 403
    assert operator.post(f"{URL}{figure.pk}/change/", {"total": 1}).status_code == 403
    assert operator.post(f"{URL}{figure.pk}/delete/", {"post": "yes"}).status_code == 403
    assert DailyFigure.objects.get().total == 5
