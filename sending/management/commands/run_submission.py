"""The submission door."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from mailpush.mail.door import AuthPolicy, Limits
from sending.smtp.running import Opening, serve
from sending.smtp.submission import SubmissionDoor


class Command(BaseCommand):
    help = "Accept mail from customers over SMTP until told to stop."

    def handle(self, **_options: Any) -> None:
        opening = Opening(
            SubmissionDoor(), settings.MAILPUSH_SUBMISSION_BIND, Limits(), auth=AuthPolicy.TLS_OR_LOOPBACK
        )
        serve(opening, opened=lambda where: self.stdout.write(f"Accepting mail on {where}"))
