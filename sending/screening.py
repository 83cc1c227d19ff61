"""What a door must know of recipients before it takes them, asked for many at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime

from accounts import quotas
from senders.models import Sender
from sending.statements import Line, document


@dataclass(frozen=True, slots=True)
class Question:
    """May this login write to an address, as this author? Both addresses are as `Address.key` has them."""

    sender: Sender
    author: str
    key: str


@dataclass(frozen=True, slots=True)
class Finding:
    """What stands against it, and what the address stands for."""

    reason: str = ""  # of the suppression that binds the sender, empty where none does
    is_everybodys: bool = False  # nobody on the platform may write there
    list_id: int | None = None  # the account's list whose alias it is
    left: int = 0  # messages the account may still send today and this month


# One look-up by index for each side of each question, however the server believes the tables to be (LIMIT 1 sees to
# that). A quota that was last used on an earlier day is whole. One row for each question, in their order: no join may
# drop one, so an account that has been deleted since the login has nothing left.
ASK = """
SELECT s.reason, s.account_id IS NULL, l.id, COALESCE(q.unused, 0)
FROM jsonb_to_recordset(%(questions)s)
     AS w(place int, account_id bigint, domain text, sender text, key text, day date, month date)
LEFT JOIN LATERAL (
    SELECT LEAST(a.daily_quota - CASE WHEN u.day >= w.day THEN u.day_used ELSE 0 END,
                 a.monthly_quota - CASE WHEN u.month >= w.month THEN u.month_used ELSE 0 END) AS unused
    FROM accounts_account a LEFT JOIN accounts_quotause u ON u.account_id = a.id
    WHERE a.id = w.account_id LIMIT 1
) q ON true
LEFT JOIN LATERAL (
    SELECT x.reason, x.account_id FROM recipients_suppression x
    WHERE x.address = w.key AND (x.account_id = w.account_id OR x.account_id IS NULL)
      AND (x.scope = 'account' OR (x.scope = 'domain' AND x.scope_value = w.domain)
           OR (x.scope = 'sender' AND x.scope_value = w.sender))
    ORDER BY x.account_id NULLS FIRST LIMIT 1
) s ON true
LEFT JOIN LATERAL (
    SELECT l.id FROM recipients_recipientlist l
    WHERE l.account_id = w.account_id AND lower(l.alias) = w.key AND l.deleted_at IS NULL LIMIT 1
) l ON true
ORDER BY w.place
"""


async def ask(line: Line, questions: Sequence[Question], *, now: datetime) -> list[Finding]:
    """Return a finding for each question."""
    days: dict[int, date] = {}
    for each in questions:
        account = each.sender.account
        if account.pk not in days:
            days[account.pk] = quotas.today(account, now)
    asked = [
        {
            "place": place,
            "account_id": each.sender.account_id,
            "domain": each.sender.domain.name,
            "sender": each.author,
            "key": each.key,
            "day": days[each.sender.account_id],
            "month": days[each.sender.account_id].replace(day=1),
        }
        for place, each in enumerate(questions)
    ]
    rows = await line.executed(ASK, {"questions": document(asked)})
    return [Finding(reason or "", bool(everybodys), list_id, left) for reason, everybodys, list_id, left in rows]
