"""Addresses that take no mail for long: nobody says that the mailbox is gone, but nothing arrives there.

One full mailbox is no reason to give a reader up. After FAILURES messages in a row that all failed for what the
server said of the mailbox (full, disabled, unknown for now), the first and the last at least OVER apart and none
delivered in between, the address is suppressed. Failures for any other reason count neither way.
"""

from datetime import datetime, timedelta

from django.db import connection

from mailpush.mail.replies import Failure
from recipients.models import Suppression

FAILURES = 5
OVER = timedelta(days=7)
WITHIN = timedelta(days=90)  # older failures are forgotten
LOOK_BACK = timedelta(minutes=20)  # whose newest failure is looked at; beat comes every five minutes

SOFT = [Failure.MAILBOX_FULL.value, Failure.NO_MAILBOX.value]

# A retry's failure is on the way, not at the end: only moves into a final status count. What became of a message is
# told by its last move.
SUPPRESS = """
WITH failed AS (
    SELECT DISTINCT m.account_id, lower(m.recipient) AS address
    FROM sending_event e JOIN sending_message m ON m.id = e.message_id
    WHERE e.at >= %(since)s AND e.status IN ('bounced', 'failed') AND e.failure = ANY(%(soft)s) AND NOT e.invalid
), judged AS (
    SELECT f.account_id, f.address, count(*) AS n, min(h.created_at) AS first, max(h.created_at) AS last,
           bool_and(h.status <> 'delivered') AS all_failed, max(h.id) AS newest,
           (array_agg(h.last_reply ORDER BY h.id DESC))[1] AS words
    FROM failed f CROSS JOIN LATERAL (
        SELECT m.id, m.created_at, m.status, m.last_reply
        FROM sending_message m
        LEFT JOIN LATERAL (
            SELECT failure FROM sending_event e WHERE e.message_id = m.id ORDER BY e.id DESC LIMIT 1
        ) ended ON true
        WHERE m.account_id = f.account_id AND lower(m.recipient) = f.address AND m.created_at >= %(after)s
          AND (m.status = 'delivered' OR (m.status IN ('bounced', 'failed') AND ended.failure = ANY(%(soft)s)))
        ORDER BY m.created_at DESC LIMIT %(failures)s
    ) h
    GROUP BY f.account_id, f.address
)
INSERT INTO recipients_suppression (account_id, address, reason, scope, scope_value, source, evidence, created_at)
SELECT account_id, address, %(reason)s, 'account', '', 'message ' || newest, words, %(now)s
FROM judged
WHERE all_failed AND n = %(failures)s AND last - first >= make_interval(secs => %(over)s)
ON CONFLICT DO NOTHING
"""


def suppress_unreachable(*, now: datetime) -> int:
    """Suppress the addresses whose latest failure was one too many; return how many."""
    with connection.cursor() as cursor:
        cursor.execute(
            SUPPRESS,
            {
                "since": now - LOOK_BACK,
                "after": now - WITHIN,
                "soft": SOFT,
                "failures": FAILURES,
                "over": OVER.total_seconds(),
                "reason": Suppression.Reason.UNREACHABLE,
                "now": now,
            },
        )
        return int(cursor.rowcount)
