"""Accepting messages: many submissions become rows with one statement in one transaction.

What the rules refuse is left out and does not hold up the others. The statement is prepared by the server once; with
the ORM, a message would cost several times as much.
"""

import functools
import hashlib
import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db import DatabaseError, connection, transaction
from django.utils.translation import gettext as _

from accounts import quotas
from mailpush.lib.refusals import Refusal
from mailpush.lib.threads import in_thread
from senders.models import Sender
from sending.models import Acceptance, Content, Status
from sending.models.queue import CHUNK_SIZE
from sending.statements import Line, Row, document, executed

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
    if not submissions:
        return set()
    storing = _Storing(submissions, now=now)
    return storing.end(executed(_statement(), storing.parameters()))


async def accept_over(line: Line, submissions: Sequence[Submission], *, now: datetime) -> Lanes:
    """Do the same from an event loop, over its own connection."""
    if not submissions:
        return set()
    storing = _Storing(submissions, now=now)
    rows = await line.executed(_statement(), storing.parameters())
    return storing.end(rows) if storing.is_whole(rows) else await in_thread(storing.end, rows)


def purge(*, now: datetime) -> int:
    """Forget what was accepted longer ago than programs repeat messages; return how many rows that took."""
    return Acceptance.objects.filter(at__lt=now - REMEMBERED_FOR).delete()[0]


class _Storing:
    """One run of the statement: what it is asked, and what follows from its rows."""

    def __init__(self, submissions: Sequence[Submission], *, charges: bool = True, now: datetime) -> None:
        """Store submissions; without `charges` their accounts have paid already."""
        self._submissions = submissions
        self._now = now
        self._accounts = {each.sender.account_id: each.sender.account for each in submissions}
        self._charged = {pk for pk, account in self._accounts.items() if charges and not account.is_platform}
        pairs = [(each, to) for each in submissions for to in each.recipients]
        self._entries = [Entry(place, each, to, each.key_of(to.address)) for place, (each, to) in enumerate(pairs, 1)]

    def parameters(self) -> dict[str, Any]:
        places = {id(each): place for place, each in enumerate(self._submissions, 1)}
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
            for entry in self._entries
        ]
        return {
            "contents": document(self._contents()),
            "mimes": b"".join(each.content.get("mime") or b"" for each in self._submissions),
            "entries": document(messages),
            "charged": list(self._charged),
            "chunk": CHUNK_SIZE,
            "now": self._now,
        }

    def _contents(self) -> list[dict[str, Any]]:
        """Describe the contents; submitted messages lie end to end in one value: the driver takes long over lists."""
        days = {pk: quotas.today(account, self._now) for pk, account in self._accounts.items()}
        contents, begins = [], 1
        for place, each in enumerate(self._submissions, 1):
            sender, columns = each.sender, dict(each.content)
            mime = columns.pop("mime", None)
            contents.append(
                {
                    **DEFAULTS,
                    "place": place,
                    "account_id": sender.account_id,
                    "sender_id": sender.pk,
                    "domain": sender.domain.name,
                    "author": sender.address,
                    "day": days[sender.account_id],
                    "created_at": self._now,
                    "mime_begins": begins,
                    "mime_size": None if mime is None else len(mime),
                    **columns,
                }
            )
            begins += len(mime or b"")
        return contents

    def is_whole(self, rows: Sequence[Row]) -> bool:
        """Tell whether all messages are stored, so that nothing is left over for the database."""
        return len([kind for kind, *_rest in rows if kind == "message"]) == len(self._entries)

    def end(self, rows: Sequence[Row]) -> Lanes:
        """Note what is stored, and see to what is left over: repetitions, and accounts that could not pay for all."""
        spent = {account_id for kind, _place, account_id, *_rest in rows if kind == "spent"}
        unpaid = self._charged - spent
        for kind, _place, account_id, _status, n, *_rest in rows:
            if kind == "repeated" and account_id in spent:  # nothing is sent, so it costs nothing
                account = self._accounts[account_id]
                quotas.give_back(account_id, n, day=quotas.today(account, self._now))
        self._note([entry for entry in self._entries if entry.submission.sender.account_id not in unpaid], rows)
        lanes = {(stream, site) for kind, *_, stream, site in rows if kind == "lane"}
        for each in self._submissions:
            if each.sender.account_id in unpaid:
                lanes |= _stored_alone(each, self._submissions, now=self._now)
        return lanes

    @staticmethod
    def _note(taken: Sequence[Entry], rows: Sequence[Row]) -> None:
        written = {place: rest for kind, place, *rest in rows if kind == "message"}
        earlier = _earlier(entry.key for entry in taken if entry.place not in written)
        for entry in taken:
            if entry.place in written:
                pk, status, entry.submission.content_id, *_rest = written[entry.place]
                entry.submission.taken.append(Taken(pk, status, is_new=True))
            else:
                assert entry.key
                entry.submission.taken.append(Taken(earlier[entry.key], "", is_new=False))


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
    storing = _Storing([submission], charges=False, now=now)
    lanes = storing.end(executed(_statement(), storing.parameters()))
    sent = sum(each.is_new and each.status == Status.QUEUED for each in submission.taken)
    if unsent := len(submission.recipients) - sent:
        quotas.give_back(account.pk, unsent, day=day)
    return lanes


# The statement

CONTENT = [one for one in Content._meta.concrete_fields if one.column not in {"id", "mime"}]  # noqa: SLF001 Django's API
DEFAULTS = {str(one.column): one.get_default() for one in CONTENT if one.has_default() or not one.null}

# Quotas are locked in the order of their accounts, then keys in theirs, so that two groups never wait for each other in
# a circle. Who repeats a key at the same moment waits for the other's commit, then finds it taken.
ACCEPT = """
WITH content_in AS MATERIALIZED (
    SELECT nextval('sending_content_id_seq') AS id, c.*
    FROM jsonb_to_recordset(%(contents)s)
         AS c(place int, domain text, author text, day date, mime_begins int, mime_size int, {types})
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
    SELECT id, {names}, substring(%(mimes)s::bytea FROM mime_begins FOR mime_size)
    FROM content_in WHERE id IN (SELECT content_id FROM fresh)
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
        LEFT JOIN LATERAL (
            SELECT site FROM sending_destination
            WHERE domain = split_part(f.recipient, '@', -1) AND expires_at > %(now)s LIMIT 1
        ) d ON true
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


@functools.cache
def _statement() -> str:
    types = ", ".join(f"{one.column} {one.db_type(connection)}" for one in CONTENT)
    return ACCEPT.format(types=types, names=", ".join(str(one.column) for one in CONTENT))


def _earlier(keys: Iterable[str | None]) -> dict[str, int]:
    """Return the messages that were accepted under these keys."""
    wanted = [key for key in keys if key]
    rows = Acceptance.objects.filter(key__in=wanted).values_list("key", "message_id") if wanted else ()
    return {key.hex: message_id for key, message_id in rows}
