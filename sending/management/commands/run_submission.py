"""The submission door."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from mailpush.mail.door import AuthPolicy, Limits
from sending.smtp.running import Opening, serve
from sending.smtp.submission import SubmissionDoor


class Command(BaseCommand):
    help = "Accept mail from customers over SMTP until told to stop."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--share-ports",
            action="store_true",
            help="let other run_submission processes started with it listen on the same ports; the kernel shares out",
        )

    def handle(self, *, share_ports: bool, **_options: Any) -> None:
        door = SubmissionDoor()
        opening = Opening(
            door,
            settings.MAILPUSH_SUBMISSION_BIND,
            Limits(message_size=settings.MAILPUSH_MAX_MESSAGE_BYTES, recipients=settings.MAILPUSH_MAX_RECIPIENTS),
            auth=AuthPolicy.TLS_OR_LOOPBACK,
            reuse_port=share_ports,
            closed=door.close,
        )
        serve(opening, opened=lambda where: self.stdout.write(f"Accepting mail on {where}"))
