"""Statistics per day, rolled up from the ledger of events."""

from django.db import models
from django.utils.translation import gettext_lazy as _

from accounts.models import Account
from senders.models import Sender, Tag


class DailyFigure(models.Model):
    """What became of the messages accepted on one day (the account's), per sender and tag.

    Late bounces correct the day of their message, and opens and clicks count for it. Messages that still wait, were
    canceled, or whose outcome is unknown are in `total` alone. `settled_…` is the part that no roll-up counts again.
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
    opens = models.PositiveIntegerField(_("opens"), default=0, db_default=0)  # not those of machines
    unique_opens = models.PositiveIntegerField(_("unique opens"), default=0, db_default=0)
    clicks = models.PositiveIntegerField(_("clicks"), default=0, db_default=0)
    unique_clicks = models.PositiveIntegerField(_("unique clicks"), default=0, db_default=0)
    settled_total = models.PositiveIntegerField(default=0, editable=False)
    settled_success = models.PositiveIntegerField(default=0, editable=False)
    settled_failed = models.PositiveIntegerField(default=0, editable=False)
    settled_invalid = models.PositiveIntegerField(default=0, editable=False)
    settled_opens = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    settled_unique_opens = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    settled_clicks = models.PositiveIntegerField(default=0, db_default=0, editable=False)
    settled_unique_clicks = models.PositiveIntegerField(default=0, db_default=0, editable=False)

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
    """How far the ledger is settled: counted once and for all. One row, and the lock of the roll-up.

    Ids are given out before they are committed, so an event can still appear below the newest one seen.
    It cannot any more once every transaction has ended that was running at that look.
    """

    id = models.PositiveSmallIntegerField(primary_key=True, default=1)
    settled_to = models.BigIntegerField(default=0)  # every event up to this id is in the settled figures
    newest = models.BigIntegerField(default=0)  # the newest event of an earlier look …
    next_xid = models.BigIntegerField(default=0)  # … and the first transaction id not given out by then

    class Meta:
        constraints = [models.CheckConstraint(condition=models.Q(id=1), name="ledger_position_once")]

    def __str__(self) -> str:
        return f"event {self.settled_to}"
