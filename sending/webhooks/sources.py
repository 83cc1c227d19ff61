"""Where events are read: rows that are written anyway, so that nothing on the way of a mail knows of webhooks.

A source is a table whose rows are only added, and a query that gives what of it is told: id, account, kind, time,
data. To tell of something else, name its kind in `EventKind` and let a source give it.
"""

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection

from sending.models.webhook import EventKind

ROWS = 5000  # a read; what is more is read in the next
# Statuses of the ledger, kinds of readers' feedback and actions of the audit log, as they are told.
MOVES = {
    "delivered": EventKind.DELIVERED,
    "deferred": EventKind.DEFERRED,
    "bounced": EventKind.BOUNCED,
    "failed": EventKind.FAILED,
    "opened": EventKind.OPENED,
    "clicked": EventKind.CLICKED,
}
FEEDBACKS = {
    "complained": EventKind.COMPLAINED,
    "unsubscribed": EventKind.UNSUBSCRIBED,
    "resubscribed": EventKind.RESUBSCRIBED,
}
ACTIONS = {
    "domain.verified": EventKind.DOMAIN_VERIFIED,
    "domain.failing": EventKind.DOMAIN_FAILING,
    "domain.still_failing": EventKind.DOMAIN_FAILING,
    "domain.suspended": EventKind.DOMAIN_SUSPENDED,
    "domain.held": EventKind.DOMAIN_SUSPENDED,
    "domain.recovered": EventKind.DOMAIN_RECOVERED,
    "domain.released": EventKind.DOMAIN_RECOVERED,
    "template.approved": EventKind.TEMPLATE_APPROVED,
    "template.rejected": EventKind.TEMPLATE_REJECTED,
}

# What machines do with links and pixels is told to nobody (n = 0).
LEDGER = """
SELECT e.id, e.account_id, e.status, e.at, jsonb_build_object(
    'message', e.message_id::text, 'recipient', m.recipient, 'sender', s.address, 'tag', t.name,
    'batch', e.batch_id::text, 'attempt', e.attempt, 'host', e.host, 'code', e.code, 'reply', e.reply,
    'failure', e.failure, 'invalid', e.invalid)
    || CASE WHEN e.reader = '' THEN '{}' ELSE jsonb_build_object('url', e.url, 'reader', e.reader) END
FROM sending_event e
JOIN sending_message m ON m.id = e.message_id
JOIN senders_sender s ON s.id = e.sender_id
LEFT JOIN senders_tag t ON t.id = e.tag_id
WHERE e.id > %(after)s AND e.id <= %(to)s AND e.account_id = ANY(%(accounts)s) AND e.status = ANY(%(names)s)
  AND e.n > 0
ORDER BY e.id LIMIT %(rows)s
"""
FEEDBACK = """
SELECT f.id, f.account_id, f.kind, f.at, jsonb_build_object(
    'message', f.message_id::text, 'recipient', f.recipient, 'sender', s.address, 'batch', f.batch_id::text,
    'via', f.via)
FROM sending_feedback f
JOIN senders_sender s ON s.id = f.sender_id
WHERE f.id > %(after)s AND f.id <= %(to)s AND f.account_id = ANY(%(accounts)s) AND f.kind = ANY(%(names)s)
ORDER BY f.id LIMIT %(rows)s
"""
AUDIT = """
SELECT id, account_id, action, at, jsonb_build_object(
    'name', target, 'reason', COALESCE(details ->> 'reason', ''), 'version', details ->> 'content_hash')
FROM accounts_auditentry
WHERE id > %(after)s AND id <= %(to)s AND account_id = ANY(%(accounts)s) AND action = ANY(%(names)s)
ORDER BY id LIMIT %(rows)s
"""


@dataclass(frozen=True, slots=True)
class Source:
    name: str
    table: str
    query: str
    kinds: dict[str, EventKind]


@dataclass(frozen=True, slots=True)
class Happened:
    """An event as it is told."""

    id: str
    row_id: int
    account_id: int
    kind: EventKind
    at: datetime
    data: dict[str, Any]

    def told(self) -> dict[str, Any]:
        return {"id": self.id, "type": self.kind.value, "at": self.at.isoformat(), "data": self.data}


SOURCES = (
    Source("ledger", "sending_event", LEDGER, MOVES),
    Source("feedback", "sending_feedback", FEEDBACK, FEEDBACKS),
    Source("audit", "accounts_auditentry", AUDIT, ACTIONS),
)


def read(source: Source, *, after: int, to: int, accounts: list[int]) -> list[Happened]:
    """Return what is told of the rows in between, the first ROWS."""
    names = list(source.kinds)
    parameters: dict[str, Any] = {"after": after, "to": to, "accounts": accounts, "names": names, "rows": ROWS}
    with connection.cursor() as cursor:
        cursor.execute(source.query, parameters)
        return [
            Happened(f"{source.name}-{row_id}", row_id, account_id, source.kinds[name], at, json.loads(data))
            for row_id, account_id, name, at, data in cursor.fetchall()
        ]
