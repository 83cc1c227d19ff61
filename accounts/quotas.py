"""How much an account may still send: counted in one row, spent in one conditional UPDATE.

The row stays locked until the caller's transaction ends, and every other send of the account waits for it.
"""

import zoneinfo
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta

from django.db import connection
from django.db.models import F, Value
from django.db.models.functions import Greatest
from django.utils import timezone
from django.utils.translation import gettext as _

from accounts.models import Account, QuotaUse
from mailpush.lib.refusals import Refusal


class QuotaSpent(Refusal):
    """More was asked for than is left of the day or the month; `resets_at` is when that starts anew."""

    code = "quota_spent"

    def __init__(self, message: str, *, left: int, resets_at: datetime) -> None:
        super().__init__(message)
        self.left = left
        self.resets_at = resets_at


@dataclass(frozen=True, slots=True)
class Allowance:
    """One of the two quotas as it stands: `used` of `quota`, until `resets_at` (midnight in the account's zone)."""

    quota: int
    used: int
    resets_at: datetime

    @property
    def left(self) -> int:
        return max(self.quota - self.used, 0)

    @property
    def percent(self) -> int:
        return min(self.used * 100 // self.quota, 100) if self.quota else 100


def today(account: Account, now: datetime) -> date:
    """Return the account's day: it begins at midnight in the account's time zone."""
    return timezone.localtime(now, zone_of(account)).date()


def zone_of(account: Account) -> zoneinfo.ZoneInfo:
    """Return the zone of the account's days; UTC where the time zone database has dropped it."""
    try:
        return zoneinfo.ZoneInfo(account.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):
        return zoneinfo.ZoneInfo("UTC")


def spend(account: Account, n: int, *, now: datetime) -> date:
    """Take `n` messages off both quotas and return the day they count for.

    :raises QuotaSpent: fewer are left; none is taken.
    """
    day = today(account, now)
    if not _take(account, n, day):
        first_use = QuotaUse(account=account, day=day, month=day.replace(day=1))
        QuotaUse.objects.bulk_create([first_use], ignore_conflicts=True)
        if not _take(account, n, day):
            raise _refusal(account, n, now)
    return day


def give_back(account_id: int, n: int, *, day: date) -> None:
    """Return what `spend` took on `day` and nobody sent; what was taken on an earlier day is gone."""
    use = QuotaUse.objects.filter(account=account_id)
    use.filter(day=day).update(day_used=Greatest(F("day_used") - n, Value(0)))
    use.filter(month=day.replace(day=1)).update(month_used=Greatest(F("month_used") - n, Value(0)))


def allowances(account: Account, *, now: datetime) -> tuple[Allowance, Allowance]:
    """Return how the day and the month stand."""
    day = today(account, now)
    month = day.replace(day=1)
    use = QuotaUse.objects.filter(account=account).first()
    next_month = (month + timedelta(days=31)).replace(day=1)
    return (
        Allowance(
            quota=account.daily_quota,
            used=use.day_used if use and use.day >= day else 0,
            resets_at=_midnight(account, day + timedelta(days=1)),
        ),
        Allowance(
            quota=account.monthly_quota,
            used=use.month_used if use and use.month >= month else 0,
            resets_at=_midnight(account, next_month),
        ),
    )


# The WHERE clause decides on the row as it is when the lock is ours. A clock that is behind never starts an earlier
# day: what is counted stays counted.
TAKE = """
UPDATE accounts_quotause use
SET day = GREATEST(use.day, %(day)s), day_used = CASE WHEN use.day >= %(day)s THEN use.day_used ELSE 0 END + %(n)s,
    month = GREATEST(use.month, %(month)s),
    month_used = CASE WHEN use.month >= %(month)s THEN use.month_used ELSE 0 END + %(n)s
FROM accounts_account account
WHERE use.account_id = %(account)s AND account.id = use.account_id
  AND CASE WHEN use.day >= %(day)s THEN use.day_used ELSE 0 END + %(n)s::bigint <= account.daily_quota
  AND CASE WHEN use.month >= %(month)s THEN use.month_used ELSE 0 END + %(n)s::bigint <= account.monthly_quota
"""


def _take(account: Account, n: int, day: date) -> bool:
    """Spend if both quotas allow it."""
    with connection.cursor() as cursor:
        cursor.execute(TAKE, {"account": account.pk, "n": n, "day": day, "month": day.replace(day=1)})
        return bool(cursor.rowcount)


def _refusal(account: Account, n: int, now: datetime) -> QuotaSpent:
    account.refresh_from_db(fields=["daily_quota", "monthly_quota"])
    daily, monthly = allowances(account, now=now)
    spent, name = (monthly, _("monthly")) if monthly.left < n else (daily, _("daily"))
    return QuotaSpent(
        _(
            "Of the %(name)s quota of %(quota)s messages %(left)s are left, and this needs %(asked)s. "
            "The quota starts anew at %(resets_at)s."
        )
        % {
            "name": name,
            "quota": f"{spent.quota:,}",
            "left": f"{spent.left:,}",
            "asked": f"{n:,}",
            "resets_at": f"{spent.resets_at:%Y-%m-%d %H:%M} ({account.time_zone})",
        },
        left=spent.left,
        resets_at=spent.resets_at,
    )


def _midnight(account: Account, day: date) -> datetime:
    return datetime.combine(day, time.min, tzinfo=zone_of(account))
