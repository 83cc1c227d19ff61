"""Django's e-mail backend: the platform's own mails leave through the same engine as everybody's."""

from collections.abc import Sequence
from email.utils import parseaddr
from typing import Any, cast

from django.core.mail import EmailMessage
from django.core.mail.backends.base import BaseEmailBackend
from django.core.mail.message import MIMEMixin
from django.utils import timezone

from senders.services.platform import platform_sender
from sending.services import messages


class EmailBackend(BaseEmailBackend):
    def send_messages(self, email_messages: Sequence[EmailMessage]) -> int:
        """Accept the mails for delivery; return how many."""
        accepted = [self._accept(mail) for mail in email_messages if mail.recipients()]
        return len(accepted)

    def _accept(self, mail: EmailMessage) -> Any:
        message = cast(MIMEMixin, mail.message())  # the stubs are those of a later Django
        return messages.submit_mime(
            message.as_bytes(linesep="\r\n"),
            sender=platform_sender(),
            recipients=[parseaddr(recipient)[1] for recipient in mail.recipients()],
            now=timezone.now(),
        )
