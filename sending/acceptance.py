"""Accepting messages: many submissions become rows with one statement in one transaction.

What the rules refuse is left out and does not hold up the others. The statement is prepared by the server once; with
the ORM, a message would cost several times as much.
"""

import functools
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils.translation import gettext as _

from accounts import quotas
from mailpush.lib.refusals import Refusal
from senders.models import Sender
from sending.models import Acceptance, Content, Status
from sending.models.queue import CHUNK_SIZE
from sending.statements import document, executed

log = logging.getLogger(__name__)

REMEMBERED_FOR = timedelta(days=1)  # longer than programs try again after a lost answer


class NotStored(Refusal):
    """The database did not take it, while it took others."""

    code = "not_stored"


@dataclass(frozen=True, slots=True)
class Addressee:
    """A recipient and the values of its variables."""

    address: str
    variables: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Taken:
    """A message as it was accepted; `is_new` unless it repeats one, whose id it then has."""

    message_id: int
    status: str
    is_new: bool


@dataclass(slots=True)
class Submission:
    """A content, whom it goes to, and the key under which a repetition is recognised (empty: it is none).

    With `at` its messages leave then, else at once. It is their Date, too: the clock of their readers.

    `content` has values of `Content` by column; what is left out has its default. The sender has been checked, and
    comes with its account and its domain. After `accept`, `taken` has a message for each recipient, in their order, or
    `refusal` says why there is none.
    """

    sender: Sender
    content: Mapping[str, Any]
    recipients: Sequence[Addressee]
    key: str = ""
    at: datetime | None = None
    taken: list[Taken] = field(default_factory=list)
    content_id: int | None = None
    refusal: Refusal | None = None

    @property
    def is_new(self) -> bool:
        """Tell whether any of its messages did not exist before."""
        return any(each.is_new for each in self.taken)

    def key_of(self, recipient: str) -> str | None:
        if not self.key:
            return None
        parts = (str(self.sender.pk), self.key, recipient.lower())
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Entry:
    """A submission's message to one of its recipients; `place` counts those of a group from 1."""

    place: int
    submission: Submission
    to: Addressee
    key: str | None


Lanes = set[tuple[str, str]]  # stream and site


def accept(submissions: Sequence[Submission], *, now: datetime) -> Lanes:
    """Store each submission's content and messages, unless its account may not send that many.

    A suppressed recipient gets a message that says so and is never tried. Outside a transaction the statement is one by
    itself, which saves opening and closing one.

    :returns: the lanes that have something to send now, to be woken once a transaction of the caller's has committed.
    """
    charged = {each.sender.account_id for each in submissions if not each.sender.account.is_platform}
    lanes, spent = _store(submissions, charged, now=now)
    for each in submissions:
        if each.sender.account_id in charged - spent:
            lanes |= _stored_alone(each, submissions, now=now)
    return lanes


def purge(*, now: datetime) -> int:
    """Forget what was accepted longer ago than programs repeat messages; return how many rows that took."""
    return Acceptance.objects.filter(at__lt=now - REMEMBERED_FOR).delete()[0]


def _stored_alone(submission: Submission, submissions: Sequence[Submission], *, now: datetime) -> Lanes:
    """Store what is left over; where others are stored already, its trouble must not have them stored again."""
    try:
        return _store_alone(submission, now=now)
    except DatabaseError:
        if not any(each.taken for each in submissions):
            raise
        log.exception("A submission of %s", submission.sender)
        submission.refusal = NotStored(_("The message could not be stored at the moment. Try again later."))
        return set()


@transaction.atomic
def _store_alone(submission: Submission, *, now: datetime) -> Lanes:
    """Take it where the quota did not allow all of its account's submissions, or is used for the first time."""
    account = submission.sender.account
    try:
        day = quotas.spend(account, len(submission.recipients), now=now)
    except quotas.QuotaSpent as refusal:
        submission.refusal = refusal
        return set()
    lanes, _spent = _store([submission], set(), now=now)
    sent = sum(each.is_new and each.status == Status.QUEUED for each in submission.taken)
    if unsent := len(submission.recipients) - sent:
        quotas.give_back(account, unsent, day=day)
    return lanes


# The statement

CONTENT = [one for one in Content._meta.concrete_fields if one.column not in {"id", "mime"}]  # noqa: SLF001 Django's API
DEFAULTS = {str(one.column): one.get_default() for one in CONTENT if one.has_default() or not one.null}

# Quotas are locked in the order of their accounts, then keys in theirs, so that two groups never wait for each other in
# a circle. Who repeats a key at the same moment waits for the other's commit, then finds it taken.
ACCEPT = """
WITH content_in AS MATERIALIZED (
    SELECT nextval('sending_content_id_seq') AS id, c.*
    FROM ROWS FROM (
        jsonb_to_recordset(%(contents)s) AS ({types}, domain text, author text, day date), unnest(%(mimes)b::bytea[])
    ) WITH ORDINALITY AS c({names}, domain, author, day, mime, place)
), wanted AS MATERIALIZED (
    SELECT nextval('sending_message_id_seq') AS id, o.*
    FROM (
        SELECT w.place, w.recipient, w.variables, w.key, c.id AS content_id, c.account_id, c.sender_id, c.tag_id,
               c.stream, c.day, COALESCE(w.at, %(now)s) AS due_at,
               CASE WHEN EXISTS (
                   SELECT FROM recipients_suppression x
                   WHERE x.address = w.address AND (x.account_id = c.account_id OR x.account_id IS NULL)
                     AND (x.scope = 'account' OR (x.scope = 'domain' AND x.scope_value = c.domain)
                          OR (x.scope = 'sender' AND x.scope_value = c.author))
               ) THEN 'suppressed' ELSE 'queued' END AS status
        FROM jsonb_to_recordset(%(entries)s)
             AS w(place int, content int, recipient text, address text, variables jsonb, key uuid,
                  at timestamptz)
        JOIN content_in c ON c.place = w.content
        ORDER BY w.place
    ) o
), locked AS (
    SELECT account_id FROM accounts_quotause
    WHERE account_id = ANY(%(charged)s::bigint[]) ORDER BY account_id FOR UPDATE
), spent AS (
    UPDATE accounts_quotause u
    SET day = GREATEST(u.day, s.day),
        day_used = CASE WHEN u.day >= s.day THEN u.day_used ELSE 0 END + s.n,
        month = GREATEST(u.month, s.month),
        month_used = CASE WHEN u.month >= s.month THEN u.month_used ELSE 0 END + s.n
    FROM (
        SELECT account_id, day, date_trunc('month', day)::date AS month,
               (count(*) FILTER (WHERE status = 'queued'))::int AS n
        FROM wanted GROUP BY account_id, day
    ) s
    JOIN locked USING (account_id)
    JOIN accounts_account a ON a.id = s.account_id
    WHERE u.account_id = s.account_id
      AND CASE WHEN u.day >= s.day THEN u.day_used ELSE 0 END + s.n <= a.daily_quota
      AND CASE WHEN u.month >= s.month THEN u.month_used ELSE 0 END + s.n <= a.monthly_quota
    RETURNING u.account_id
), allowed AS (
    SELECT * FROM wanted
    WHERE account_id IN (SELECT account_id FROM spent) OR NOT account_id = ANY(%(charged)s::bigint[])
), claimed AS (
    INSERT INTO sending_acceptance (key, message_id, at)
    SELECT key, id, %(now)s FROM allowed WHERE key IS NOT NULL ORDER BY key, place
    ON CONFLICT (key) DO NOTHING
    RETURNING message_id
), fresh AS MATERIALIZED (
    SELECT * FROM allowed WHERE key IS NULL OR id IN (SELECT message_id FROM claimed)
), content AS (
    INSERT INTO sending_content (id, {names}, mime)
    SELECT id, {names}, mime FROM content_in WHERE id IN (SELECT content_id FROM fresh)
), message AS (
    INSERT INTO sending_message (id, account_id, content_id, recipient, variables, status, day, created_at, finished_at)
    SELECT id, account_id, content_id, recipient, variables, status, day, due_at,
           CASE WHEN status = 'suppressed' THEN %(now)s END
    FROM fresh
), event AS (
    INSERT INTO sending_event (account_id, sender_id, tag_id, day, was, status, n, at)
    SELECT account_id, sender_id, tag_id, day, '', status, count(*), %(now)s
    FROM fresh GROUP BY account_id, sender_id, tag_id, day, status
), chunk AS (
    INSERT INTO sending_chunk (stream, site, messages, due_at)
    SELECT stream, site, array_agg(id ORDER BY id), due_at
    FROM (
        SELECT f.id, f.stream, COALESCE(d.site, '') AS site, f.due_at,
               (row_number() OVER (PARTITION BY f.stream, COALESCE(d.site, ''), f.due_at ORDER BY f.id) - 1)
               / %(chunk)s AS slot
        FROM fresh f
        LEFT JOIN sending_destination d
               ON d.domain = split_part(f.recipient, '@', -1) AND d.expires_at > %(now)s
        WHERE f.status = 'queued'
    ) placed
    GROUP BY stream, site, due_at, slot
    RETURNING stream, site, due_at
)
SELECT 'message', place, id, status, content_id, NULL, NULL FROM fresh
UNION ALL SELECT 'spent', NULL, account_id, NULL, NULL, NULL, NULL FROM spent
UNION ALL SELECT 'repeated', NULL, account_id, NULL, count(*), NULL, NULL FROM allowed
          WHERE status = 'queued' AND id NOT IN (SELECT id FROM fresh) GROUP BY account_id
UNION ALL SELECT DISTINCT 'lane', NULL::bigint, NULL::bigint, NULL, NULL::bigint, stream, site
          FROM chunk WHERE due_at <= %(now)s
"""


def _store(submissions: Sequence[Submission], charged: set[int], *, now: datetime) -> tuple[Lanes, set[int]]:
    """Write the rows of submissions whose accounts are not charged or can pay; return lanes, and who has paid."""
    if not submissions:
        return set(), set()
    pairs = [(each, to) for each in submissions for to in each.recipients]
    entries = [Entry(place, each, to, each.key_of(to.address)) for place, (each, to) in enumerate(pairs, 1)]
    rows = executed(_statement(), _parameters(submissions, entries, charged, now=now))
    spent = {account_id for kind, _place, account_id, *_rest in rows if kind == "spent"}
    unpaid = charged - spent
    accounts = {each.sender.account_id: each.sender.account for each in submissions}
    for kind, _place, account_id, _status, n, *_rest in rows:
        if kind == "repeated" and account_id in spent:  # nothing is sent, so it costs nothing
            quotas.give_back(accounts[account_id], n, day=quotas.today(accounts[account_id], now))
    written = {
        place: (pk, status, content_id) for kind, place, pk, status, content_id, *_rest in rows if kind == "message"
    }
    taken = [entry for entry in entries if entry.submission.sender.account_id not in unpaid]
    earlier = _earlier(entry.key for entry in taken if entry.place not in written)
    for entry in taken:
        if entry.place in written:
            pk, status, entry.submission.content_id = written[entry.place]
            entry.submission.taken.append(Taken(pk, status, is_new=True))
        else:
            assert entry.key
            entry.submission.taken.append(Taken(earlier[entry.key], "", is_new=False))
    return {(stream, site) for kind, *_, stream, site in rows if kind == "lane"}, spent


def _parameters(
    submissions: Sequence[Submission], entries: Sequence[Entry], charged: set[int], *, now: datetime
) -> dict[str, Any]:
    accounts = {each.sender.account_id: each.sender.account for each in submissions}
    days = {pk: quotas.today(account, now) for pk, account in accounts.items()}
    places = {id(each): place for place, each in enumerate(submissions, 1)}
    contents = [_described(each, days[each.sender.account_id], now) for each in submissions]
    messages = [
        {
            "place": entry.place,
            "content": places[id(entry.submission)],
            "recipient": entry.to.address,
            "address": entry.to.address.lower(),
            "variables": entry.to.variables,
            "key": entry.key,
            "at": entry.submission.at,
        }
        for entry in entries
    ]
    return {
        "contents": document(contents),
        "mimes": [each.content.get("mime") for each in submissions],
        "entries": document(messages),
        "charged": list(charged),
        "chunk": CHUNK_SIZE,
        "now": now,
    }


def _described(submission: Submission, day: date, now: datetime) -> dict[str, Any]:
    sender = submission.sender
    content = {name: value for name, value in submission.content.items() if name != "mime"}
    return {
        **DEFAULTS,
        "account_id": sender.account_id,
        "sender_id": sender.pk,
        "created_at": now,
        **content,
        "domain": sender.domain.name,
        "author": sender.address,
        "day": day,
    }


@functools.cache
def _statement() -> str:
    types = ", ".join(f"{one.column} {one.db_type(connection)}" for one in CONTENT)
    return ACCEPT.format(types=types, names=", ".join(str(one.column) for one in CONTENT))


def _earlier(keys: Iterable[str | None]) -> dict[str, int]:
    """Return the messages that were accepted under these keys."""
    wanted = [key for key in keys if key]
    rows = Acceptance.objects.filter(key__in=wanted).values_list("key", "message_id") if wanted else ()
    return {key.hex: message_id for key, message_id in rows}
