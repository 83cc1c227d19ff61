"""Accepting single messages: from the platform itself and from programs."""

import logging
from collections.abc import Sequence
from datetime import datetime

from django.db import transaction

from accounts import quotas
from senders.models import Sender
from sending import acceptance, bodies, tasks
from sending.acceptance import Addressee, Submission, Taken
from sending.models import AddressType, Content, Message, Status

log = logging.getLogger(__name__)

__all__ = ["Addressee", "accept", "submit_mime"]


@transaction.atomic
def accept(content: Content, recipients: Sequence[Addressee], *, now: datetime, key: str = "") -> list[Message]:
    """Store a content and a message for each recipient; they are on their way when the transaction commits.

    A suppressed recipient gets a message that says so and is never tried.

    :param content: not saved yet; its sender has been checked by the caller.
    :param key: who sends the same key to the same recipient again within a day gets the first message back.
    :raises QuotaSpent: the account may not send that many.
    """
    columns = {str(one.column): getattr(content, one.attname) for one in acceptance.CONTENT}
    submission = Submission(content.sender, {**columns, "mime": content.mime}, recipients, key)
    lanes = acceptance.accept([submission], now=now)
    if submission.refusal:
        raise submission.refusal
    # robust: with the broker down the message is still accepted; the next beat wakes its lane.
    transaction.on_commit(lambda: wake(lanes), robust=True)
    content.pk = submission.content_id
    return _messages(submission, content, now=now)


@transaction.atomic
def accept_all(submissions: Sequence[Submission], *, now: datetime) -> list[Taken]:
    """Do so with several submissions of one account, all of them or none; the messages are in their order.

    :raises QuotaSpent: the account may not send that many.
    """
    lanes = acceptance.accept(submissions, now=now)
    if refusal := next((each.refusal for each in submissions if each.refusal), None):
        raise refusal
    transaction.on_commit(lambda: wake(lanes), robust=True)
    return [each for submission in submissions for each in submission.taken]


def submit_mime(mime: bytes, *, sender: Sender, recipients: Sequence[str], now: datetime) -> list[Message]:
    """Accept a finished message (headers and body, CRLF) for its envelope recipients.

    :raises QuotaSpent: the account may not send that many.
    """
    content = Content(
        account=sender.account,
        sender=sender,
        stream=sender.stream,
        address_type=AddressType.RANDOM,
        created_at=now,
        **bodies.store(mime),
    )
    return accept(content, [Addressee(address) for address in recipients], now=now)


def wake(lanes: acceptance.Lanes) -> None:
    """Send workers to lanes that have something new."""
    for stream, site in lanes:
        tasks.wake(stream, [site])


def _messages(submission: Submission, content: Content, *, now: datetime) -> list[Message]:
    """Return the messages as their rows have them; of one that was accepted before, the row itself."""
    earlier = Message.objects.in_bulk([each.message_id for each in submission.taken if not each.is_new])
    day = quotas.today(content.account, now)
    return [
        Message(
            pk=each.message_id,
            account=content.account,
            content=content,
            recipient=to.address,
            variables=to.variables,
            status=each.status,
            day=day,
            created_at=now,
            finished_at=now if each.status == Status.SUPPRESSED else None,
        )
        if each.is_new
        else earlier[each.message_id]
        for each, to in zip(submission.taken, submission.recipients, strict=True)
    ]


def wake_quietly(lanes: acceptance.Lanes) -> None:
    """Do so where nobody could do anything about a broker that is down; the next beat wakes the lanes."""
    try:
        wake(lanes)
    except Exception:
        log.warning("The broker does not answer", exc_info=True)
