"""What a conversation with a server means for the message. Pure."""

import random
from datetime import datetime

from mailpush.mail.replies import Failure, Reply, Verdict, address_is_dead, classify
from sending.delivery.courier import Delivery
from sending.delivery.retries import next_attempt
from sending.ledger import Outcome, words
from sending.models import Message, Status


def judge(delivery: Delivery, message: Message, *, stream: str, now: datetime, chance: random.Random) -> Outcome:
    """Return the outcome: delivered, bounced, to be tried again, or given up."""
    reply = delivery.reply
    failure = _failure(reply)
    status, retry = Status.BOUNCED, None
    if reply and reply.verdict is Verdict.ACCEPTED:
        status = Status.DELIVERED
    elif delivery.is_about_us or not _is_final(reply, failure):
        retry = next_attempt(
            stream=stream, attempts=message.attempts + 1, accepted_at=message.created_at, now=now, chance=chance
        )
        status = Status.DEFERRED if retry else Status.FAILED
    return Outcome(
        message_id=message.pk,
        status=status,
        at=now,
        reply=words(delivery.problem or str(reply)),
        code=reply.code if reply else None,
        failure=failure or "",
        host=delivery.host,
        invalid=status is Status.BOUNCED and reply is not None and address_is_dead(reply),
        tls=delivery.tls,
        seconds=delivery.seconds,
        next_attempt_at=retry,
    )


def _failure(reply: Reply | None) -> Failure | None:
    if reply is None:
        return Failure.INFRASTRUCTURE
    return None if reply.verdict is Verdict.ACCEPTED else classify(reply)


def _is_final(reply: Reply | None, failure: Failure | None) -> bool:
    """A 5xx is final, save where its words say "slow down" (QQ and 163 do that)."""
    return reply is not None and reply.verdict is Verdict.REFUSED and failure is not Failure.RATE
