"""Statistics per day, rolled up from the ledger of events."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from senders.models import Sender, Tag


class DailyFigure(models.Model):
    """What became of the messages accepted on one day (the account's), per sender and tag.

    Recomputed from the events of that day by the roll-up, so late bounces correct their own day.
    Messages that still wait, were canceled, or whose outcome is unknown are in `total` alone.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="+", verbose_name=_("account"))
    sender = models.ForeignKey(Sender, models.CASCADE, related_name="+", verbose_name=_("sender address"))
    tag = models.ForeignKey(Tag, models.CASCADE, null=True, related_name="+", verbose_name=_("tag"))
    day = models.DateField(_("day"))
    total = models.PositiveIntegerField(_("total"), default=0)
    success = models.PositiveIntegerField(_("success"), default=0)  # delivered
    # Bounced, failed, suppressed: without the invalid ones.
    failed = models.PositiveIntegerField(_("failed"), default=0)
    invalid = models.PositiveIntegerField(_("invalid"), default=0)  # bounced: there is no such mailbox

    class Meta:
        verbose_name = _("figures of a day")
        verbose_name_plural = _("figures per day")
        constraints = [
            models.UniqueConstraint(
                fields=["account", "day", "sender", "tag"], nulls_distinct=False, name="figure_once"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.day}: {self.total}"


class LedgerPosition(models.Model):
    """How far the ledger has been rolled up; one row, and the lock of the roll-up.

    Ids are given out before they are committed, so an event can appear below the newest one that was seen.
    It cannot any more once every transaction has ended that was running at that look.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    counted_to = models.BigIntegerField(default=0)  # every event up to this id is in the figures
    newest = models.BigIntegerField(default=0)  # the newest event of an earlier look …
    next_xid = models.BigIntegerField(default=0)  # … and the first transaction id that was not given out then

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="ledger_position_once")]

    def __str__(self) -> str:
        return f"event {self.counted_to}"
