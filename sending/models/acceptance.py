"""What was accepted lately, so that a program that repeats a message after a lost answer does not send it twice."""

from django.db import models
from django.db.models.functions import Now


class Acceptance(models.Model):
    """A message to a recipient under the key its program gives it: an idempotency key, or its Message-ID.

    The row is written in the transaction that accepts the message; its primary key is its only index. A day later it
    is gone.
    """

    key = models.UUIDField(primary_key=True)  # from sender, key and recipient: sending.acceptance
    message_id = models.BigIntegerField()
    at = models.DateTimeField(db_default=Now())

    def __str__(self) -> str:
        return f"{self.key} is message {self.message_id}"
