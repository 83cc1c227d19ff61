"""What readers have done so far: counts that are written together with the events, so that nobody has to count."""

from typing import Any

from django.db import models

from sending.models.batch import Batch


class Reading(models.Model):
    """What the reader of one message has done: its row is the lock by which only one open is the first."""

    message_id = models.BigIntegerField(primary_key=True)
    looks = models.PositiveSmallIntegerField()  # those of machines, too; from a number on nothing more is written down
    opens = models.PositiveSmallIntegerField()
    clicks = models.PositiveSmallIntegerField()

    def __str__(self) -> str:
        return f"{self.opens} opens, {self.clicks} clicks of message {self.message_id}"


class LinkCountQuerySet(models.QuerySet["LinkCount"]):
    def by_url(self) -> models.QuerySet[Any, Any]:
        """Return the links that were followed, `url` and `count`, the most followed first."""
        return self.exclude(number=0).values("url").annotate(count=models.Sum("clicks")).order_by("-count", "url")


class LinkCount(models.Model):
    """How often a link of a batch was followed; the number 0 stands for the pixel, and counts opens.

    A link has rows in several slots, so that readers do not wait for one another: the count is their sum. A reader's
    first click counts as unique at the link where it came.
    """

    NUMBERS = ("opens", "unique_opens", "clicks", "unique_clicks")

    batch = models.ForeignKey(Batch, models.CASCADE, related_name="link_counts", db_index=False, db_constraint=False)
    number = models.PositiveIntegerField()
    slot = models.PositiveSmallIntegerField()
    url = models.TextField(blank=True)
    opens = models.PositiveIntegerField()
    unique_opens = models.PositiveIntegerField()
    clicks = models.PositiveIntegerField()
    unique_clicks = models.PositiveIntegerField()

    objects = LinkCountQuerySet.as_manager()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["batch", "number", "slot"], name="link_count_once")]

    def __str__(self) -> str:
        return f"{self.opens} opens, {self.clicks} clicks in batch {self.batch_id}"
