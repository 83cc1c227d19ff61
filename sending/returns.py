"""Reading what came back: a bounce hours after acceptance corrects what we believed."""

from datetime import datetime

from django.db import transaction

from mailpush.mail import dsn
from mailpush.mail.replies import Reply, address_is_dead, classify
from recipients import suppression
from recipients.models import Suppression
from sending import ledger
from sending.models import Message, Returned, Status

DEFAULT_CODE = 550  # where a report gives an enhanced code only


def read_new(*, now: datetime) -> int:
    """Read what nobody has read yet; return how many."""
    count = 0
    while _read_next(now=now):
        count += 1
    return count


@transaction.atomic
def _read_next(*, now: datetime) -> bool:
    returned = Returned.objects.select_for_update(skip_locked=True).filter(read_at=None).order_by("pk").first()
    if returned is None:
        return False
    returned.finding = _finding(returned, now=now)
    returned.read_at = now
    returned.save(update_fields=["finding", "read_at"])
    return True


def _finding(returned: Returned, *, now: datetime) -> str:
    message = Message.objects.filter(pk=returned.message_id).first() if returned.message_id else None
    if message is None:
        return "message unknown"
    failed = [report for report in dsn.read(bytes(returned.mime)) if report.action == "failed"]
    if not failed:
        return "no failure reported"
    report = failed[0]
    words = report.diagnostic or f"{report.status} reported by the receiving server"
    reply = Reply(report.code or DEFAULT_CODE, _with_status(words, report))
    is_dead = address_is_dead(reply)
    outcome = ledger.Outcome(
        message.pk,
        Status.BOUNCED,
        at=now,
        reply=ledger.words(words),
        code=reply.code,
        failure=classify(reply),
        invalid=is_dead,
        is_attempt=False,
    )
    moves = ledger.record([outcome])
    if moves and is_dead:
        suppression.suppress_all(
            [
                Suppression(
                    account_id=message.account_id,
                    address=message.recipient.lower(),
                    reason=Suppression.Reason.BOUNCED,
                    source=f"message {message.pk}",
                    evidence=ledger.words(words),
                )
            ]
        )
    return "bounced" if moves else "already bounced"


def _with_status(words: str, report: dsn.RecipientReport) -> str:
    """Put the enhanced code first, where `Reply` looks for it; the reply code is given apart."""
    text = words.removeprefix(str(report.code)).lstrip(" -") if report.code else words
    return text if text.startswith(report.status) else f"{report.status} {text}"
