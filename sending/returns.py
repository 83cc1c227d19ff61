"""Reading what came back: a bounce hours after acceptance corrects what we believed.

Mails are read in slices, each in one transaction with all that follows from it, so that a worker may die at any
moment; and any mail may be read again, because a move that has taken place does not take place twice.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from django.db import InterfaceError, OperationalError, transaction

from mailpush.mail import returned as reading
from mailpush.mail.replies import address_is_dead, classify
from recipients import suppression
from recipients.models import Suppression
from sending import forwarding, ledger, return_path, unsubscribe
from sending.models import Feedback, Message, Returned, Status

log = logging.getLogger(__name__)

SLICE = 100  # mails read in one transaction
SLICE_BYTES = 16 * 1024 * 1024
KEPT_FOR = timedelta(days=90)
PURGED_AT_ONCE = 1000

Mailbox, Kind = Returned.Mailbox, Returned.Kind
UNREADABLE = "It could not be read; the operators have been told."


@dataclass(slots=True)
class Hand:
    """What one slice amounts to, written together at its end."""

    now: datetime
    messages: dict[int, Message] = field(default_factory=dict)
    outcomes: dict[int, tuple[ledger.Outcome, Returned]] = field(default_factory=dict)  # by message: one each


def read_new(*, now: datetime) -> int:
    """Read what nobody has read yet; return how many."""
    count = 0
    while read := _read_slice(now=now):
        count += read
    return count


def purge(*, now: datetime) -> int:
    """Delete what came so long ago that nobody asks for it; return how many."""
    count = 0
    old = Returned.objects.filter(received_at__lt=now - KEPT_FOR).order_by("received_at")
    while ids := list(old.values_list("pk", flat=True)[:PURGED_AT_ONCE]):
        count += Returned.objects.filter(pk__in=ids).delete()[0]
    return count


@transaction.atomic
def _read_slice(*, now: datetime) -> int:
    rows = _take()
    if not rows:
        return 0
    readings = {row.pk: _read(row, now=now) for row in rows}
    ids = {row.message_id for row in rows if row.message_id}
    messages = Message.objects.select_related("account", "content__sender__domain").in_bulk(ids)
    hand = Hand(now, messages)
    for row in rows:
        _weigh(row, readings[row.pk], hand)
        row.read_at = now
    _settle(hand)
    Returned.objects.bulk_update(
        rows, ["account", "message_id", "read_at", "kind", "failure", "words", "has_effect"], batch_size=SLICE
    )
    return len(rows)


def _take() -> list[Returned]:
    """Lock the next mails nobody else reads, as many as memory has room for."""
    unread = Returned.objects.select_for_update(skip_locked=True).filter(read_at=None).order_by("pk")
    rows: list[Returned] = []
    size = 0
    for row in unread.iterator(chunk_size=5):
        rows.append(row)
        size += len(row.mime)
        if len(rows) >= SLICE or size >= SLICE_BYTES:
            break
    return rows


def _read(row: Returned, *, now: datetime) -> reading.Reading | None:
    """Read a mail, and find the message it is about; None where reading failed, which must stop nobody else's."""
    try:
        found = reading.read(bytes(row.mime))
        if row.message_id is None:
            row.message_id = return_path.message_of_tokens(found.tokens, now=now)
    except Exception:
        log.exception("Returned mail %s", row.pk)
        return None
    return found


def _weigh(row: Returned, found: reading.Reading | None, hand: Hand) -> None:
    """Decide what a mail means, and do what is not done for all of the slice together."""
    message = hand.messages.get(row.message_id or 0)
    if message is None:  # deleted meanwhile, or never ours
        row.message_id = None
    else:
        row.account_id = message.account_id
    row.has_effect = False
    if found is None:
        row.kind, row.words = Kind.OTHER, UNREADABLE
        return
    try:
        _understand(row, found, message, hand)
    except (OperationalError, InterfaceError):  # the database's trouble, not this mail's
        raise
    except Exception:  # one odd mail must not stop all that came after it
        log.exception("Returned mail %s", row.pk)
        row.kind, row.words, row.failure = Kind.OTHER, UNREADABLE, ""


def _understand(row: Returned, found: reading.Reading, message: Message | None, hand: Hand) -> None:
    row.words = ledger.words(found.words)
    row.kind = Kind(found.kind_for(message.recipient) if message else found.kind)
    if row.mailbox == Mailbox.UNSUBSCRIBE:
        row.kind = Kind.OPT_OUT
    if row.kind in {Kind.BOUNCE, Kind.DELAY}:
        _bounce(row, found, message, hand)
        return
    with transaction.atomic():  # what it has half done is undone
        _heed(row, message, hand)


def _heed(row: Returned, message: Message | None, hand: Hand) -> None:
    match row.kind:
        case Kind.COMPLAINT if message:
            _complaint(row, message, hand)
        case Kind.OPT_OUT if message:
            row.has_effect = unsubscribe.end(message, via="mail", now=hand.now)
        case Kind.OTHER | Kind.COMPLAINT:
            _send_on(row)


def _bounce(row: Returned, found: reading.Reading, message: Message | None, hand: Hand) -> None:
    reply, is_about_mailbox = found.verdict(message.recipient if message else "")
    if reply is None:
        return
    row.failure, row.words = classify(reply), ledger.words(str(reply))
    if message is None or row.kind != Kind.BOUNCE or message.pk in hand.outcomes:
        return
    outcome = ledger.Outcome(
        message.pk,
        Status.BOUNCED,
        at=hand.now,
        reply=ledger.words(str(reply)),
        code=reply.code,
        failure=classify(reply),
        invalid=is_about_mailbox and address_is_dead(reply),
        is_attempt=False,
    )
    hand.outcomes[message.pk] = outcome, row


def _complaint(row: Returned, message: Message, hand: Hand) -> None:
    Feedback.note(message, Feedback.Kind.COMPLAINED, via=row.words, at=hand.now)
    row.has_effect = suppression.suppress(
        message.recipient,
        account=message.account,
        reason=Suppression.Reason.COMPLAINED,
        source=f"message {message.pk}",
        evidence=row.words,
        now=hand.now,
    )


def _send_on(row: Returned) -> None:
    """Send what a person may have written on to people; reports have no sender and are nobody's to answer."""
    is_for_people = row.mailbox in {Mailbox.REPLY, Mailbox.POST_OFFICE}
    if is_for_people and row.mail_from and forwarding.send_on(row):
        row.kind, row.has_effect = Kind.FORWARDED, True


def _settle(hand: Hand) -> None:
    """Move the messages; those that had moved before stay, and count for nothing."""
    moves = ledger.record([outcome for outcome, _ in hand.outcomes.values()])
    for move in moves:
        for pk in move.message_ids:
            hand.outcomes[pk][1].has_effect = True
    suppression.suppress_all(ledger.dead_addresses(moves))
