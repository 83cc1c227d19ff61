"""The queue: chunks of due messages in lanes, and what is known of the destinations.

A worker claims a chunk, not messages: one row for up to 500 of them, so that claiming costs the
database next to nothing and does not slow down as the table grows. PostgreSQL knows what is due;
Celery carries wake-ups only.
"""

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from senders.models import Stream
from sending.models.batch import Batch

CHUNK_SIZE = 500  # messages; larger gains nothing, smaller costs claims
UNROUTED = ""  # the site of messages whose destination has not been looked up yet


class Lane(models.Model):
    """Stream × destination site; one slow destination holds up nobody else."""

    pk = models.CompositePrimaryKey("stream", "site")
    stream = models.CharField(max_length=7, choices=Stream.choices)
    site = models.CharField(max_length=253)
    dispatched_at = models.DateTimeField(null=True)  # a wake-up is on the broker
    suspended_until = models.DateTimeField(null=True)
    reason = models.TextField(blank=True)  # why it is suspended, in the server's or our words
    # A lower pace than the provider's limits, after the server asked for it: `sending.delivery.pacing`.
    pace = models.PositiveIntegerField(null=True)  # mails a minute
    connections = models.PositiveSmallIntegerField(null=True)
    paced_since = models.DateTimeField(null=True)
    paced_until = models.DateTimeField(null=True)  # from then on it recovers, step by step
    pace_reason = models.TextField(blank=True, default="", db_default="")

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="lane_pace_whole",
                condition=Q(pace=None, connections=None, paced_since=None, paced_until=None)
                | Q(pace__gte=1, connections__gte=1, paced_since__isnull=False, paced_until__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.stream} to {self.site or 'look-up'}"


class Chunk(models.Model):
    """Up to CHUNK_SIZE messages of one lane that are due together.

    `messages` have not been tried; `in_flight` have been handed to the network, and their outcomes
    are not recorded yet: after a crash exactly these are unknown. `fence` counts the leases; who
    holds an older one cannot move the chunk on. Chunks of a paused batch are passed over.
    """

    stream = models.CharField(max_length=7, choices=Stream.choices)
    site = models.CharField(max_length=253, default=UNROUTED, db_default=UNROUTED)
    batch = models.ForeignKey(Batch, models.CASCADE, null=True, related_name="chunks")
    messages = ArrayField(models.BigIntegerField())
    in_flight = ArrayField(models.BigIntegerField(), default=list, db_default=[])
    due_at = models.DateTimeField()
    leased_until = models.DateTimeField(null=True)
    fence = models.PositiveIntegerField(default=0, db_default=0)

    class Meta:
        verbose_name = _("queue")
        verbose_name_plural = _("queues")
        indexes = [
            models.Index(fields=["stream", "site", "due_at"], name="chunk_due"),
            models.Index(fields=["leased_until"], condition=Q(leased_until__isnull=False), name="chunk_leased"),
        ]

    def __str__(self) -> str:
        return f"{len(self.messages)} messages, {self.stream} to {self.site or 'look-up'}"


class Destination(models.Model):
    """What DNS said of a recipients' domain: its mail servers and the site behind them."""

    domain = models.CharField(max_length=253, primary_key=True)
    site = models.CharField(max_length=253)
    # [{"name": "mx1.example", "preference": 10, "addresses": ["192.0.2.1"], …}], best first; what DANE or MTA-STS
    # demands of one is its "demand"
    hosts = models.JSONField(default=list)
    # How mail left when it was looked up, with the names of the relays; believed while it leaves that way.
    via = models.TextField(default="", db_default="")
    expires_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.domain} at {self.site}"


class Gate(models.Model):
    """What both streams to a site pass, in all processes: its lock, and when its next mail may go."""

    site = models.CharField(max_length=253, primary_key=True)
    next_free_at = models.DateTimeField()

    def __str__(self) -> str:
        return self.site


class Turn(models.Model):
    """Connections to a site that one worker may have open; a row without any waits for its share."""

    site = models.CharField(max_length=253)
    stream = models.CharField(max_length=7, choices=Stream.choices)
    holder = models.CharField(max_length=128)  # a worker process
    connections = models.PositiveSmallIntegerField()
    wanted = models.PositiveSmallIntegerField()
    until = models.DateTimeField()  # renewed while the worker lives

    class Meta:
        constraints = [models.UniqueConstraint(fields=["site", "stream", "holder"], name="turn_of_holder")]

    def __str__(self) -> str:
        return f"{self.connections} of {self.wanted} connections to {self.site}, {self.holder}"
