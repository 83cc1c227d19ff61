"""Who a batch would reach if it were ordered now; expansion decides once more when it starts."""

from dataclasses import dataclass

from django.db.models import Exists, OuterRef
from django.db.models.functions import Lower

from recipients.models import Recipient, RecipientList, Suppression
from senders.models import Sender


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
