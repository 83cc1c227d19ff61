"""Calling off single messages that wait."""

from datetime import datetime

from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from sending import ledger
from sending.models import Chunk, Message, Status


class NotWaiting(Refusal):
    """It is on its way, over, or part of a batch."""

    code = "not_waiting"


@transaction.atomic
def call_off(message: Message, *, by: Actor, now: datetime) -> None:
    """Cancel a message that no worker has in its hands; its quota is given back on the day it was spent.

    :raises NotWaiting: it cannot be stopped any more, or belongs to a batch, which is canceled as a whole.
    """
    by.must(Permission.WORK)
    if message.batch_id is not None:
        raise NotWaiting(_("This message belongs to a batch. Cancel the batch."))
    chunk = _chunk(message)
    if chunk is None:
        raise NotWaiting(_("This message does not wait any more: it is on its way, or over."))
    chunk.messages.remove(message.pk)
    if chunk.messages:
        chunk.save(update_fields=["messages"])
    else:
        chunk.delete()
    outcome = ledger.Outcome(message.pk, Status.CANCELED, at=now, reply=f"Called off by {by.name}", is_attempt=False)
    ledger.record([outcome])
    audit.record("message.canceled", by=by, target=message)


def _chunk(message: Message) -> Chunk | None:
    """Lock the chunk that holds the message, unless a worker has it: whoever claims a chunk skips locked ones."""
    return (
        Chunk.objects.select_for_update(skip_locked=True)
        .filter(stream=message.content.stream, batch=None, messages__contains=[message.pk], leased_until=None)
        .first()
    )
