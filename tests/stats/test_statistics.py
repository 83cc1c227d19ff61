"""The statistics page and its export."""

import re
from datetime import UTC, date, datetime, timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from accounts import quotas
from tests.factories import DailyFigureFactory, SenderFactory, TagFactory

pytestmark = pytest.mark.django_db

URL = "/console/statistics/"


@pytest.fixture
def today(owner_client):
    return quotas.today(owner_client.account, timezone.now())


@pytest.fixture
def sender(owner_client):
    return SenderFactory(account=owner_client.account)


def days_of(page):
    return [line.of for line in page.context["report"].days]


def test_page_is_for_members(client):
    assert client.get(URL).status_code == 302


def test_page_shows_the_last_seven_days(owner_client, sender, today):
    DailyFigureFactory(
        sender=sender, day=today - timedelta(days=1), total=29050, success=8438, failed=1578, invalid=274
    )

    page = owner_client.get(URL)

    assert days_of(page) == [today - timedelta(days=n) for n in range(7, 0, -1)]
    text = page.content.decode()
    assert "29,050" in text
    assert '<span class="text-nowrap" title="0.293230470">29.32 %</span>' in text
    assert '<span class="text-nowrap" title="0.009432014">0.94 %</span>' in text
    assert sender.address in text


def test_page_without_mail_says_so(owner_client):
    page = owner_client.get(URL)

    assert "No mail in these days" in page.content.decode()


@pytest.mark.parametrize("n", [7, 30, 90])
def test_presets(owner_client, today, n):
    assert len(days_of(owner_client.get(URL, {"range": n}))) == n


def test_custom_days(owner_client, sender):
    DailyFigureFactory(sender=sender, day=date(2025, 2, 28), total=3)

    page = owner_client.get(URL, {"range": "custom", "start": "2025-02-27", "end": "2025-03-01"})

    assert days_of(page) == [date(2025, 2, 27), date(2025, 2, 28), date(2025, 3, 1)]
    assert 'type="date"' in page.content.decode()


def test_choosing_the_days_starts_from_the_last_seven(owner_client, today):
    page = owner_client.get(URL, {"range": "custom"})

    assert not page.context["form"].errors
    assert days_of(page)[0] == today - timedelta(days=7)


@pytest.mark.parametrize(
    ("start", "end", "field"),
    [
        ("2025-03-02", "2025-03-01", "start"),
        ("2024-01-01", "2025-01-01", "start"),  # 367 days
        ("2999-01-01", "2999-01-02", "end"),
        ("yesterday", "2025-03-01", "start"),
    ],
)
def test_days_that_make_no_sense_are_refused_with_a_reason(owner_client, start, end, field):
    page = owner_client.get(URL, {"range": "custom", "start": start, "end": end})

    assert page.status_code == 200
    assert list(page.context["form"].errors) == [field]
    assert len(days_of(page)) == 7


def test_longest_range_is_a_leap_year(owner_client):
    page = owner_client.get(URL, {"range": "custom", "start": "2024-01-01", "end": "2024-12-31"})

    assert len(days_of(page)) == 366


def test_sender_and_tag_of_strangers_are_no_choice(owner_client):
    figure = DailyFigureFactory(tag=TagFactory(), total=3)

    for name, stranger in (("sender", figure.sender), ("tag", figure.tag)):
        page = owner_client.get(URL, {name: stranger.pk})

        assert list(page.context["form"].errors) == [name]
        assert str(stranger) not in page.content.decode()


def test_deleted_sender_can_still_be_looked_up(owner_client, today):
    gone = SenderFactory(account=owner_client.account, deleted_at=timezone.now())
    DailyFigureFactory(sender=gone, day=today - timedelta(days=1), total=3)

    page = owner_client.get(URL, {"sender": gone.pk})

    assert page.context["report"].sums.total == 3
    assert f"{gone.address} (deleted)" in page.content.decode()


@pytest.mark.parametrize("rows", [1, 3])
def test_page_takes_as_many_queries_for_many_rows(owner_client, today, rows, django_assert_max_num_queries):
    for n in range(rows):
        sender = SenderFactory(account=owner_client.account)
        tag = TagFactory(account=owner_client.account)
        DailyFigureFactory(sender=sender, tag=tag, day=today - timedelta(days=n + 1), total=1)

    with django_assert_max_num_queries(8):  # session, user, memberships; senders, tags; three of the report
        owner_client.get(URL)


@pytest.mark.parametrize(
    ("zone", "day"), [("UTC", "2026-11-02"), ("Asia/Shanghai", "2026-11-03"), ("Pacific/Honolulu", "2026-11-02")]
)
def test_today_is_the_accounts_day(owner_client, sender, zone, day, monkeypatch):
    moment = datetime(2026, 11, 2, 20, 0, tzinfo=UTC)
    monkeypatch.setattr("django.utils.timezone.now", lambda: moment)
    owner_client.account.time_zone = zone
    owner_client.account.save()
    DailyFigureFactory(sender=sender, day=day, total=5)

    page = owner_client.get(URL)

    assert page.context["report"].today.total == 5
    assert days_of(page)[-1] == date.fromisoformat(day) - timedelta(days=1)


# ── Export ──


def test_opens_and_clicks_have_a_table_where_there_are_any(owner_client, sender):
    yesterday = quotas.today(sender.account, timezone.now()) - timedelta(days=1)
    row = DailyFigureFactory(sender=sender, day=yesterday, total=10, success=8)
    without = owner_client.get(reverse("stats:statistics")).content.decode()

    type(row).objects.update(opens=6, unique_opens=4, clicks=3, unique_clicks=1)
    page = owner_client.get(reverse("stats:statistics")).content.decode()

    assert "Opens and clicks" not in without
    table = page[page.index('aria-labelledby="readings"') :].partition("</table>")[0]
    cells = [" ".join(re.sub("<[^>]+>", "", cell).split()) for cell in re.findall("<td.*?</td>", table)]
    assert cells[:8] == [f"{yesterday}", "8", "6", "4", "50.00 %", "3", "1", "12.50 %"]
    assert cells[-8:] == ["Sum", "8", "6", "4", "50.00 %", "3", "1", "12.50 %"]


def test_export_is_the_table_as_csv(owner_client, sender):
    counts = {"total": 29050, "success": 8438, "failed": 1578, "invalid": 274}
    readings = {"opens": 5000, "unique_opens": 4219, "clicks": 30, "unique_clicks": 20}
    DailyFigureFactory(sender=sender, day=date(2015, 11, 12), **counts, **readings)

    answer = owner_client.get(
        reverse("stats:statistics-export"), {"range": "custom", "start": "2015-11-12", "end": "2015-11-13"}
    )

    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == 'attachment; filename="statistics-2015-11-12-2015-11-13.csv"'
    assert answer.content.decode() == (
        "\ufeffDate,Total,Success,Failed,Invalid addresses,Success rate,Failure rate,"
        "Opens,Unique opens,Clicks,Unique clicks,Open rate,Click rate\r\n"
        "2015-11-12,29050,8438,1578,274,0.293230470,0.009432014,5000,4219,30,20,0.500000000,0.002370230\r\n"
        "2015-11-13,0,0,0,0,0.000000000,0.000000000,0,0,0,0,0.000000000,0.000000000\r\n"
    )


def test_export_keeps_to_the_filters(owner_client, sender, today):
    other = SenderFactory(account=owner_client.account)
    DailyFigureFactory(sender=sender, day=today - timedelta(days=1), total=3)
    DailyFigureFactory(sender=other, day=today - timedelta(days=1), total=4)

    answer = owner_client.get(reverse("stats:statistics-export"), {"sender": other.pk})

    assert answer.content.decode().splitlines()[-1].startswith(f"{today - timedelta(days=1)},4,")


def test_export_of_days_that_make_no_sense_leads_to_the_page_that_says_why(owner_client):
    query = "range=custom&start=2025-03-02&end=2025-03-01"

    answer = owner_client.get(f"{reverse('stats:statistics-export')}?{query}")

    assert answer["Location"] == f"{URL}?{query}"


def test_page_links_the_export_with_its_filters(owner_client, sender, today):
    DailyFigureFactory(sender=sender, day=today - timedelta(days=1), total=3)

    assert 'href="/console/statistics/days.csv?range=30"' in owner_client.get(URL, {"range": 30}).content.decode()


def test_shares_of_days_without_mail_say_so(owner_client, sender, today):
    DailyFigureFactory(sender=sender, day=today, total=3, success=3)  # today stands apart

    page = owner_client.get(URL)

    assert page.context["report"].senders == page.context["report"].tags == []
    assert page.content.decode().count("No mail in these days") == 2
