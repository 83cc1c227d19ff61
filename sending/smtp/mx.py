"""The mx door: customers' MX records name us, and what comes back to a message's random address is its bounce."""

import logging

from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from mailpush.lib import tokens
from mailpush.mail.door import Session
from mailpush.mail.envelope import Params
from mailpush.mail.replies import Reply
from sending import return_path, tasks
from sending.models import Returned
from sending.smtp.running import in_thread

log = logging.getLogger(__name__)

UNKNOWN = Reply(550, "5.1.1 No such mailbox here: this server takes only delivery reports of mail it has sent")


class MxDoor:
    """Takes bounces to our return paths and nothing else; answers 250 when they are stored for good."""

    async def connected(self, session: Session) -> Reply | None:
        return None

    async def closed(self, session: Session) -> None:
        return None

    async def auth(self, session: Session, user: str, password: str) -> Reply | None:
        return Reply(502, "5.5.1 Nobody logs in here")

    async def mail(self, session: Session, mail_from: str, params: Params) -> Reply:
        return Reply(250, "2.1.0 Sender accepted")

    async def rcpt(self, session: Session, rcpt_to: str, params: Params) -> Reply:
        try:
            return_path.message_of(rcpt_to, now=timezone.now())
        except tokens.BadToken:
            return UNKNOWN
        return Reply(250, "2.1.5 Recipient accepted")

    async def data(self, session: Session, content: bytes) -> Reply:
        try:
            await in_thread(_store, session, content)
        except DatabaseError:
            log.exception("Report from %s", session.peer)
            return Reply(451, "4.3.0 We cannot store the report at the moment; send it again later")
        return Reply(250, "2.0.0 Thank you")


@transaction.atomic
def _store(session: Session, content: bytes) -> None:
    now = timezone.now()
    envelope = session.envelope
    assert envelope
    Returned.objects.bulk_create(
        Returned(
            mail_from=envelope.mail_from[:320],
            rcpt_to=rcpt.address[:320],
            message_id=return_path.message_of(rcpt.address, now=now),
            mime=content,
            received_at=now,
        )
        for rcpt in envelope.rcpts
    )
    transaction.on_commit(tasks.read_returned.delay, robust=True)
