"""Working the queue of calls: one worker at a time, many calls at once, none waiting for a slow receiver."""

import json
import random
import time
from collections.abc import Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db import connection, transaction
from django.db.models import F, Q
from django.utils import timezone

from sending.models.webhook import Webhook, WebhookCall, WebhookTry
from sending.webhooks import outbound, signing
from sending.webhooks.mails import tell_owners

CALLS_AT_ONCE = 32
CALLS_A_WEBHOOK = 4  # at once: a receiver is not to be flooded, nor to hold up the others
WORKS_FOR = 20.0  # seconds; the next worker is not far
CLAIM_LASTS = timedelta(seconds=90)  # longer than a call takes, however slowly it is answered
LOCK = 0x6D70_7768  # "mpwh"

# After each failure; together a day.
WAITS = (
    *(timedelta(seconds=5), timedelta(seconds=30), timedelta(minutes=2), timedelta(minutes=10), timedelta(minutes=30)),
    *(timedelta(hours=1), timedelta(hours=2), timedelta(hours=4), timedelta(hours=8), timedelta(hours=8)),
)
PAUSED_AFTER = timedelta(hours=24)  # of failures without a success between
KEPT = timedelta(days=7)  # finished calls, to be looked at and sent again
GONE = 410  # the receiver says that it will never want calls again

CLAIM = """
UPDATE sending_webhookcall SET claimed_until = %(until)s
WHERE id IN (
    SELECT due.id FROM sending_webhook w CROSS JOIN LATERAL (
        SELECT c.id FROM sending_webhookcall c
        WHERE c.webhook_id = w.id AND c.status = 'waiting' AND c.next_attempt_at <= %(now)s
          AND (c.claimed_until IS NULL OR c.claimed_until < %(now)s)
        ORDER BY c.next_attempt_at
        LIMIT GREATEST(%(each)s - (
            SELECT count(*) FROM sending_webhookcall busy
            WHERE busy.webhook_id = w.id AND busy.status = 'waiting' AND busy.claimed_until >= %(now)s), 0)
    ) due
    WHERE w.paused_at IS NULL
    LIMIT %(most)s
)
RETURNING id
"""


@dataclass(frozen=True, slots=True)
class Result:
    """How a try went."""

    at: datetime
    seconds: float
    code: int | None = None
    text: str = ""
    problem: str = ""

    @property
    def is_success(self) -> bool:
        return self.code is not None and 200 <= self.code < 300  # noqa: PLR2004 - any 2xx


def work() -> int:
    """Make the calls that are due; return how many. Another worker that is at it does them all."""
    with _alone() as is_alone:
        return _work() if is_alone else 0


@contextmanager
def _alone() -> Iterator[bool]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_lock(%s)", [LOCK])
        (is_alone,) = cursor.fetchone()
        try:
            yield is_alone
        finally:
            if is_alone:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [LOCK])


def _work() -> int:
    end = time.monotonic() + WORKS_FOR
    running: dict[Future[Result], WebhookCall] = {}
    made = 0
    with ThreadPoolExecutor(CALLS_AT_ONCE, thread_name_prefix="webhook") as threads:
        while True:
            if time.monotonic() < end:
                for call in claim(CALLS_AT_ONCE - len(running), now=timezone.now()):
                    running[threads.submit(_try, call, now=timezone.now())] = call
            if not running:
                return made
            for done in wait(running, timeout=1.0, return_when=FIRST_COMPLETED).done:
                record(running.pop(done), done.result())
                made += 1


def claim(most: int, *, now: datetime) -> list[WebhookCall]:
    """Take calls that are due, few of each webhook."""
    with connection.cursor() as cursor:
        cursor.execute(CLAIM, {"until": now + CLAIM_LASTS, "now": now, "each": CALLS_A_WEBHOOK, "most": max(most, 0)})
        ids = [pk for (pk,) in cursor.fetchall()]
    return list(WebhookCall.objects.select_related("webhook__account").filter(pk__in=ids)) if ids else []


def _try(call: WebhookCall, *, now: datetime) -> Result:
    """Make the call, on the network alone."""
    body = json.dumps({"events": call.events}, ensure_ascii=False, separators=(",", ":")).encode()
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "mailpush-webhooks/1",
        **signing.headers(
            body,
            message_id=call.message_id,
            timestamp=int(now.timestamp()),
            secrets=call.webhook.secrets(now),
        ),
    }
    began = time.monotonic()
    try:
        answer = outbound.post(call.webhook.url, body, headers)
    except outbound.NotReachable as problem:
        return Result(now, time.monotonic() - began, problem=str(problem)[:500])
    return Result(now, time.monotonic() - began, code=answer.code, text=answer.text)


@transaction.atomic
def record(call: WebhookCall, result: Result) -> None:
    """Write down how a try went, and what follows from it."""
    tried = WebhookCall.objects.filter(pk=call.pk, status=WebhookCall.Status.WAITING)
    if not tried.exists():  # its webhook was deleted meanwhile
        return
    WebhookTry.objects.create(
        call=call, at=result.at, code=result.code, problem=result.problem, answer=result.text, seconds=result.seconds
    )
    call.attempts += 1
    changes: dict[str, object] = {"attempts": F("attempts") + 1, "claimed_until": None}
    if result.is_success:
        changes |= {"status": WebhookCall.Status.DELIVERED, "finished_at": result.at, "next_attempt_at": None}
    elif call.attempts > len(WAITS):
        changes |= {"status": WebhookCall.Status.FAILED, "finished_at": result.at, "next_attempt_at": None}
    else:
        changes["next_attempt_at"] = result.at + WAITS[call.attempts - 1] * random.uniform(0.9, 1.1)  # noqa: S311
    tried.update(**changes)
    _judge(call.webhook, result)


def _judge(webhook: Webhook, result: Result) -> None:
    """Keep in mind since when it fails; pause it when that is too long."""
    rows = Webhook.objects.filter(pk=webhook.pk)
    if result.is_success:
        rows.exclude(failing_since=None).update(failing_since=None)
        return
    rows.filter(failing_since=None).update(failing_since=result.at)
    failing = rows.filter(paused_at=None)
    if result.code != GONE:
        failing = failing.filter(failing_since__lte=result.at - PAUSED_AFTER)
    reason = f"HTTP {result.code} {result.text}".strip() if result.code else result.problem
    if failing.update(paused_at=result.at, pause_reason=reason):
        # robust: a mail that cannot be accepted must not undo the pause.
        transaction.on_commit(lambda: tell_owners(webhook.pk), robust=True)


def prune(*, now: datetime) -> int:
    """Forget calls that are over, and those that have waited for a paused webhook for too long."""
    old = Q(finished_at__lt=now - KEPT) | Q(status=WebhookCall.Status.WAITING, created_at__lt=now - 2 * KEPT)
    return WebhookCall.objects.filter(old).delete()[0]
