"""The mx door."""

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from mailpush.mail.door import Limits
from sending.smtp.mx import MxDoor
from sending.smtp.running import Opening, serve


class Command(BaseCommand):
    help = "Accept what comes back to the customers' domains until told to stop: bounces, complaints, wishes."

    def handle(self, **_options: Any) -> None:
        opening = Opening(MxDoor(), [settings.MAILPUSH_MX_BIND], Limits(message_size=10_485_760))
        serve(opening, opened=lambda where: self.stdout.write(f"Accepting reports on {where}"))
