"""Who a batch would reach if it were ordered now; expansion decides once more when it starts."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef, Q
from django.db.models.functions import Lower

from recipients.models import Recipient, RecipientList, RecipientQuerySet, Suppression
from senders.models import Sender
from sending.models import Batch, Message, Status

# Whoever has it, whose server said no for good, or who may have it: they get no second one.
HANDLED = (Status.DELIVERED, Status.BOUNCED, Status.UNKNOWN)


@dataclass(frozen=True, slots=True)
class Audience:
    """Recipients on the list, and how many of them are suppressed at present."""

    recipients: int
    suppressed: int

    @property
    def reached(self) -> int:
        return self.recipients - self.suppressed


def count(audience: RecipientList, *, sender: Sender) -> Audience:
    """Return how many a batch from this sender would reach."""
    binding = Suppression.objects.binding(sender.account_id, domain=sender.domain.name, sender=sender.address)
    rows = Recipient.objects.filter(list=audience).annotate(key=Lower("address"))
    suppressed = rows.filter(Exists(binding.filter(address=OuterRef("key")))).count()
    return Audience(audience.count, suppressed)


def of(batch: Batch) -> RecipientQuerySet:
    """Return who of the batch's list it goes to: everybody, or those whom the batches before it have not reached."""
    recipients = Recipient.objects.filter(list=batch.list)
    return recipients if batch.rest_of_id is None else _unhandled(recipients, batch)


def rest(batch: Batch) -> RecipientQuerySet:
    """Return who of its list has not got it yet, of this batch or another that was sent to its rest."""
    return _unhandled(Recipient.objects.filter(list=batch.list), batch)


def _unhandled(recipients: RecipientQuerySet, batch: Batch) -> RecipientQuerySet:
    family = Batch.objects.filter(Q(pk=batch.first_id) | Q(rest_of=batch.first_id)).values("pk")
    handled = Message.objects.filter(account=batch.account_id, batch__in=family, status__in=HANDLED)
    keyed = handled.annotate(key=Lower("recipient")).filter(key=OuterRef("key"))
    return recipients.annotate(key=Lower("address")).filter(~Exists(keyed))
