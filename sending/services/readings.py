"""What readers do: opening a tracked mail, following its links. Written down with one statement, in one transaction.

A reader never waits for our books: where the database does not answer, a link leads on all the same.
"""

import logging
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

import orjson
from django.db import Error as DatabaseError
from django.db import InterfaceError, OperationalError

from mailpush.lib import pooled
from mailpush.lib.tokens import BadToken
from mailpush.mail.variables import ADDRESS
from sending import tracking
from sending.models import Event, Message
from sending.statements import executed

log = logging.getLogger(__name__)

MOST_LOOKS = 100  # written down of one message: a loop must not fill the database
# Gateways follow the links of a mail before they hand it on; nobody has read it by then.
TOO_EARLY = timedelta(seconds=2)
SLOTS = 16
WAITS_FOR_DATABASE = 1.0  # seconds that a reader does …
ASKS_AGAIN_AFTER = 5.0  # … and all others do not, once one has

# The row in `sending_reading` is locked until the end, then one of the batch's counts: nobody waits in a circle.
NOTE = f"""
WITH message AS (
    SELECT m.id, m.account_id, m.batch_id, m.day, m.recipient, m.variables, c.sender_id, c.tag_id,
           (%(reader)s::text <> 'machine' AND COALESCE(m.finished_at <= %(not_after)s::timestamptz, false))::int AS n
    FROM sending_message m JOIN sending_content c ON c.id = m.content_id
    WHERE m.id = %(message)s::bigint AND c.id = COALESCE(%(content)s::bigint, c.id)
), reading AS (
    INSERT INTO sending_reading AS r (message_id, looks, opens, clicks)
    SELECT id, 1, n * (%(act)s::text = 'opened')::int, n * (%(act)s::text = 'clicked')::int FROM message
    ON CONFLICT (message_id) DO UPDATE
    SET looks = r.looks + 1, opens = r.opens + excluded.opens, clicks = r.clicks + excluded.clicks
    WHERE r.looks < {MOST_LOOKS}
    RETURNING CASE %(act)s::text WHEN 'opened' THEN opens ELSE clicks END AS count
), act AS (
    SELECT message.*, n = 1 AND count = 1 AS is_first,
           CASE WHEN n = 0 THEN 'machine' ELSE %(reader)s::text END AS reader
    FROM message, reading
), event AS (
    INSERT INTO sending_event (account_id, batch_id, message_id, sender_id, tag_id, day, was, status,
                               n, at, url, reader)
    SELECT account_id, batch_id, id, sender_id, tag_id, day,
           CASE WHEN is_first THEN '{Event.UNREAD}' ELSE %(act)s::text END, %(act)s::text, n, %(now)s::timestamptz,
           %(url)s::text, reader
    FROM act
), counted AS (
    INSERT INTO sending_linkcount AS k (batch_id, number, slot, url, opens, unique_opens, clicks, unique_clicks)
    SELECT batch_id, %(number)s::int, id % {SLOTS}, %(url)s::text,
           (%(act)s::text = 'opened')::int, (%(act)s::text = 'opened' AND is_first)::int,
           (%(act)s::text = 'clicked')::int, (%(act)s::text = 'clicked' AND is_first)::int
    FROM act WHERE n = 1 AND batch_id IS NOT NULL
    ON CONFLICT (batch_id, number, slot) DO UPDATE
    SET opens = k.opens + excluded.opens, unique_opens = k.unique_opens + excluded.unique_opens,
        clicks = k.clicks + excluded.clicks, unique_clicks = k.unique_clicks + excluded.unique_clicks
)
SELECT recipient, variables::text FROM message
"""  # noqa: S608 - put together from this module's own constants


class NotNow(Exception):
    """Where the link leads depends on its message, which the database does not give at the moment."""


def note_open(token: str, *, reader: str, now: datetime) -> None:
    """Write down that somebody has fetched the pixel of a message.

    :raises BadToken: it is none of ours.
    """
    look = {"message": tracking.message_of(token), "content": None, "number": 0, "url": "", "reader": reader}
    _patiently(lambda: _noted({**look, "act": Event.Act.OPENED.value}, now=now))


def follow(token: str, sealed: str, *, host: str, reader: str, now: datetime) -> str:
    """Return where a link leads, and write down that somebody has followed it.

    :param reader: empty where nothing is to be written down.
    :raises BadToken: it is none of ours, or none of this host's.
    :raises NotNow: it depends on the message, and the database does not answer.
    """
    message_id, link = tracking.message_of(token), tracking.link_of(sealed)
    if not link.stands_at(host):
        raise BadToken(sealed)
    values: dict[str, str] | None = None
    if reader:
        look = {"message": message_id, "content": link.content_id, "number": link.number, "url": link.target}
        look |= {"act": Event.Act.CLICKED.value, "reader": reader}
        values = _patiently(lambda: _noted(look, now=now))
    elif link.has_variables:
        values = _patiently(lambda: _values_of(message_id, link))
    if values is None and link.has_variables:
        raise NotNow
    address = link.leads_to(values or {})
    if address is None:
        raise BadToken(sealed)
    return address


_away_until = 0.0  # on the monotonic clock


def _patiently(ask: Callable[[], dict[str, str]]) -> dict[str, str] | None:
    """Return the answer; None where the database gives none, which not everybody has to find out."""
    global _away_until  # noqa: PLW0603 - of this process
    if time.monotonic() < _away_until:
        return None
    try:
        pooled.must_answer(within=WAITS_FOR_DATABASE)
        return ask()
    except DatabaseError as problem:
        log.warning("What a reader did is not written down", exc_info=True)
        if isinstance(problem, OperationalError | InterfaceError):
            _away_until = time.monotonic() + ASKS_AGAIN_AFTER
        return None


def _noted(look: Mapping[str, object], *, now: datetime) -> dict[str, str]:
    """Write it down and return the values of the message's variables; none where it is gone."""
    rows = executed(NOTE, {**look, "now": now, "not_after": now - TOO_EARLY})
    return _values(*rows[0]) if rows else {}


def _values_of(message_id: int, link: tracking.Link) -> dict[str, str]:
    """Return the values of a message's variables; none where it is gone."""
    rows = Message.objects.filter(pk=message_id, content=link.content_id)
    found = rows.values_list("recipient", "variables").first()
    return {ADDRESS: found[0], **(found[1] or {})} if found else {}


def _values(recipient: str, variables: str | None) -> dict[str, str]:
    return {ADDRESS: recipient, **(orjson.loads(variables) if variables else {})}
