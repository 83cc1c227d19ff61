"""What came back through the mx door, stored before it was answered."""

from django.db import models
from django.db.models import Q
from django.utils import timezone


class Returned(models.Model):
    """A message to one of our return paths, kept as it came; read by a worker, and again if need be."""

    mail_from = models.CharField(max_length=320, blank=True)
    rcpt_to = models.CharField(max_length=320)
    message_id = models.BigIntegerField(null=True)  # the message whose random address it came to
    mime = models.BinaryField()
    received_at = models.DateTimeField(default=timezone.now)
    read_at = models.DateTimeField(null=True)
    finding = models.CharField(max_length=64, blank=True)  # what the worker made of it

    class Meta:
        indexes = [models.Index(fields=["id"], condition=Q(read_at=None), name="returned_unread")]

    def __str__(self) -> str:
        return f"to {self.rcpt_to}"
