"""What recipients' domains demand of the way to their servers."""

from django.db import models


class StrictTransport(models.Model):
    """A domain's MTA-STS policy as last fetched (RFC 8461 section 3.2); it holds until its age is over."""

    domain = models.CharField(max_length=253, primary_key=True)
    policy_id = models.CharField(max_length=32)
    mode = models.CharField(max_length=7)  # mailpush.mail.mta_sts.Mode
    mx = models.JSONField(default=list)  # patterns of the mail servers' names
    max_age = models.PositiveIntegerField()  # seconds
    fetched_at = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.domain}: {self.mode}"
