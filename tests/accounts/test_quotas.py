from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta

import pytest
from django.db import connection

from accounts import quotas
from accounts.models import Account, QuotaUse
from tests.factories import AccountFactory


@pytest.fixture
def now():
    return datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def used(account: Account) -> tuple[date, int, date, int]:
    return QuotaUse.objects.values_list("day", "day_used", "month", "month_used").get(account=account)


@pytest.mark.django_db
def test_spending_counts_for_day_and_month(now):
    account = AccountFactory()

    quotas.spend(account, 3, now=now)
    day = quotas.spend(account, 4, now=now)

    assert day == date(2026, 11, 23)
    assert used(account) == (date(2026, 11, 23), 7, date(2026, 11, 1), 7)


@pytest.mark.django_db
def test_spending_leaves_other_accounts_alone(now):
    account, other = AccountFactory(), AccountFactory()
    quotas.spend(other, 1, now=now)

    quotas.spend(account, 5, now=now)

    assert used(other) == (date(2026, 11, 23), 1, date(2026, 11, 1), 1)


@pytest.mark.django_db
def test_exactly_what_is_left_can_be_spent(now):
    account = AccountFactory(daily_quota=10)

    quotas.spend(account, 10, now=now)

    with pytest.raises(quotas.QuotaSpent):
        quotas.spend(account, 1, now=now)


@pytest.mark.django_db
def test_refusal_says_which_quota_what_is_left_and_until_when(now):
    account = AccountFactory(daily_quota=10, time_zone="Asia/Shanghai")
    quotas.spend(account, 8, now=now)

    with pytest.raises(quotas.QuotaSpent) as refused:
        quotas.spend(account, 3, now=now)

    assert refused.value.left == 2
    assert refused.value.resets_at == datetime(2026, 11, 23, 16, 0, tzinfo=UTC)
    assert refused.value.message == (
        "Of the daily quota of 10 messages 2 are left, and this needs 3. "
        "The quota starts anew at 2026-11-24 00:00 (Asia/Shanghai)."
    )
    assert used(account)[1] == 8


@pytest.mark.django_db
def test_monthly_quota_refuses_when_the_day_has_room(now):
    account = AccountFactory(daily_quota=10, monthly_quota=15)
    quotas.spend(account, 10, now=now)

    with pytest.raises(quotas.QuotaSpent) as refused:
        quotas.spend(account, 6, now=now + timedelta(days=1))

    assert "monthly" in refused.value.message
    assert refused.value.left == 5
    assert refused.value.resets_at == datetime(2026, 12, 1, tzinfo=UTC)


@pytest.mark.django_db
def test_the_day_begins_at_midnight_of_the_account(now):
    account = AccountFactory(daily_quota=10, time_zone="Asia/Shanghai")
    quotas.spend(account, 10, now=datetime(2026, 11, 23, 15, 59, tzinfo=UTC))

    day = quotas.spend(account, 10, now=datetime(2026, 11, 23, 16, 0, tzinfo=UTC))

    assert day == date(2026, 11, 24)
    assert used(account) == (date(2026, 11, 24), 10, date(2026, 11, 1), 20)


@pytest.mark.django_db
def test_the_month_begins_with_its_first_day():
    account = AccountFactory(monthly_quota=10)
    quotas.spend(account, 10, now=datetime(2026, 11, 30, 23, tzinfo=UTC))

    quotas.spend(account, 9, now=datetime(2026, 12, 1, 0, tzinfo=UTC))

    assert used(account) == (date(2026, 12, 1), 9, date(2026, 12, 1), 9)


@pytest.mark.django_db
def test_a_clock_that_is_behind_starts_no_day_anew(now):
    account = AccountFactory(daily_quota=10)
    quotas.spend(account, 10, now=now)

    with pytest.raises(quotas.QuotaSpent):
        quotas.spend(account, 1, now=now - timedelta(days=1))


@pytest.mark.django_db
def test_what_a_clock_behind_spends_counts_for_the_later_day(now):
    account = AccountFactory(daily_quota=10)
    quotas.spend(account, 6, now=now)

    quotas.spend(account, 3, now=now - timedelta(days=31))

    assert used(account) == (date(2026, 11, 23), 9, date(2026, 11, 1), 9)


@pytest.mark.django_db
def test_a_lowered_quota_holds_for_who_loaded_the_account_before(now):
    account = AccountFactory(daily_quota=10)
    quotas.spend(account, 5, now=now)
    Account.objects.filter(pk=account.pk).update(daily_quota=4)

    with pytest.raises(quotas.QuotaSpent) as refused:
        quotas.spend(account, 1, now=now)

    assert refused.value.left == 0


@pytest.mark.django_db
def test_more_than_a_counter_holds_is_refused_not_an_error(now):
    account = AccountFactory(daily_quota=2_147_483_647, monthly_quota=2_147_483_647)
    quotas.spend(account, 2_147_483_647, now=now)

    with pytest.raises(quotas.QuotaSpent):
        quotas.spend(account, 2_147_483_647, now=now)


@pytest.mark.django_db
def test_what_was_not_sent_is_given_back(now):
    account = AccountFactory(daily_quota=10)
    day = quotas.spend(account, 10, now=now)

    quotas.give_back(account.pk, 4, day=day)

    assert used(account)[1::2] == (6, 6)
    quotas.spend(account, 4, now=now)


@pytest.mark.django_db
def test_what_was_spent_on_an_earlier_day_comes_back_to_the_month_alone(now):
    account = AccountFactory()
    day = quotas.spend(account, 10, now=now)
    quotas.spend(account, 3, now=now + timedelta(days=1))

    quotas.give_back(account.pk, 4, day=day)

    assert used(account)[1::2] == (3, 9)


@pytest.mark.django_db
def test_allowances_of_an_account_that_never_sent(now):
    account = AccountFactory(daily_quota=10, monthly_quota=100, time_zone="America/New_York")

    daily, monthly = quotas.allowances(account, now=now)

    assert (daily.used, daily.left, daily.percent) == (0, 10, 0)
    assert daily.resets_at == datetime(2026, 11, 24, 5, 0, tzinfo=UTC)
    assert monthly.resets_at == datetime(2026, 12, 1, 5, 0, tzinfo=UTC)


@pytest.mark.django_db
def test_allowances_forget_yesterday(now):
    account = AccountFactory(daily_quota=10, monthly_quota=100)
    quotas.spend(account, 10, now=now)

    daily, monthly = quotas.allowances(account, now=now + timedelta(days=1))

    assert (daily.used, monthly.used, monthly.percent) == (0, 10, 10)


@pytest.mark.django_db
def test_a_time_zone_that_was_dropped_counts_as_utc(now):
    account = AccountFactory(time_zone="Moon/Tranquility")

    assert quotas.today(account, now) == date(2026, 11, 23)


@pytest.mark.django_db(transaction=True)
def test_many_at_once_never_spend_more_than_there_is(now):
    account = AccountFactory(daily_quota=50, monthly_quota=45)

    def spend(_number: int) -> bool:
        try:
            quotas.spend(account, 3, now=now)
        except quotas.QuotaSpent:
            return False
        finally:
            connection.close()
        return True

    with ThreadPoolExecutor(8) as threads:
        outcomes = list(threads.map(spend, range(40)))

    assert sum(outcomes) == 15
    assert used(account) == (date(2026, 11, 23), 45, date(2026, 11, 1), 45)
