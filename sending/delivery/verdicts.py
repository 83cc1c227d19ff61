"""What a conversation with a server means for the message. Pure."""

import random
from datetime import datetime

from mailpush.mail.replies import Failure, Reply, Verdict, address_is_dead, classify
from sending.delivery.parcels import Delivery, QueuedMessage
from sending.delivery.retries import next_attempt
from sending.delivery.shaping import Advice
from sending.ledger import Outcome, words
from sending.models import ReplyRule, Status

Action = ReplyRule.Action


def judge(
    delivery: Delivery,
    message: QueuedMessage,
    advice: Advice | None,
    *,
    stream: str,
    now: datetime,
    chance: random.Random,
) -> Outcome:
    """Return the outcome: delivered, bounced, to be tried again, or given up.

    :param advice: what the provider's rules make of the reply; it goes before the reply's code.
    """
    reply = delivery.reply
    if reply and reply.verdict is Verdict.ACCEPTED:
        return Outcome(
            message.pk,
            Status.DELIVERED,
            now,
            reply=words(str(reply)),
            code=reply.code,
            host=delivery.host,
            tls=delivery.tls,
            seconds=delivery.seconds,
        )
    status, retry = Status.BOUNCED, None
    if delivery.is_about_us or not _is_final(reply, advice):
        retry = next_attempt(
            stream=stream, attempts=message.attempts + 1, accepted_at=message.created_at, now=now, chance=chance
        )
        status = Status.DEFERRED if retry else Status.FAILED
    return Outcome(
        message.pk,
        status,
        now,
        reply=words(delivery.problem or str(reply)),
        code=reply.code if reply else None,
        failure=classify(reply) if reply else Failure.INFRASTRUCTURE,
        host=delivery.host,
        invalid=status is Status.BOUNCED and reply is not None and address_is_dead(reply),
        tls=delivery.tls,
        seconds=delivery.seconds,
        next_attempt_at=retry,
    )


def _is_final(reply: Reply | None, advice: Advice | None) -> bool:
    """A 5xx is final, save where its words ask for patience (QQ and 163 do that); some 4xx are final by rule."""
    if reply is None:
        return False
    if advice is None:
        return reply.verdict is Verdict.REFUSED
    return advice.action == Action.FAIL
