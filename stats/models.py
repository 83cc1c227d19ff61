"""Statistics per day, rolled up from the ledger of events."""

from django.db import models

from accounts.models import Account
from senders.models import Sender, Tag


class DailyFigure(models.Model):
    """What became of the messages accepted on one day, per sender and tag.

    Recomputed from the events of that day by the roll-up, so late bounces correct their own day.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="+")
    sender = models.ForeignKey(Sender, models.CASCADE, related_name="+")
    tag = models.ForeignKey(Tag, models.CASCADE, null=True, related_name="+")
    day = models.DateField()
    total = models.PositiveIntegerField(default=0)
    success = models.PositiveIntegerField(default=0)
    failed = models.PositiveIntegerField(default=0)  # bounced, failed, suppressed: without the invalid ones
    invalid = models.PositiveIntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["account", "day", "sender", "tag"], nulls_distinct=False, name="figure_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.total}"
