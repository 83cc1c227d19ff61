"""Submission (RFC 6409): customers' programs send through a sender address and its SMTP password."""

import logging
from uuid import uuid4

from django.core.cache import cache
from django.db import Error as DatabaseError
from django.utils import timezone

from mailpush.lib.refusals import Refusal
from mailpush.mail import submitted
from mailpush.mail.addresses import BadAddress, parse
from mailpush.mail.door import Session
from mailpush.mail.envelope import Params
from mailpush.mail.replies import Reply
from senders.models import Sender
from senders.services import senders
from sending.services import messages
from sending.smtp.running import in_thread

log = logging.getLogger(__name__)

FAILURES = 10  # wrong passwords of one address, or from one network address …
FAILURES_FORGOTTEN_AFTER = 15 * 60  # … within these seconds

SICK = Reply(451, "4.3.0 We cannot store your message at the moment; send it again in a few minutes")


class SubmissionDoor:
    """Lets in who proves a sender address; a message is answered 250 when it is stored for good."""

    async def connected(self, session: Session) -> Reply | None:
        return None

    async def closed(self, session: Session) -> None:
        return None

    async def auth(self, session: Session, user: str, password: str) -> Reply | None:
        try:
            return await in_thread(_log_in, session, user, password)
        except DatabaseError:
            log.exception("Login of %s", user)
            return Reply(454, "4.3.0 Logins cannot be checked at the moment; try again in a few minutes")

    async def mail(self, session: Session, mail_from: str, params: Params) -> Reply:
        sender: Sender | None = session.account
        if sender is None:
            return Reply(530, "5.7.0 Log in first, with your sender address and its SMTP password")
        if mail_from.lower() != sender.address:
            return Reply(553, f"5.7.1 You are logged in as {sender.address}; MAIL FROM must be the same")
        return Reply(250, "2.1.0 Sender accepted")

    async def rcpt(self, session: Session, rcpt_to: str, params: Params) -> Reply:
        try:
            parse(rcpt_to)
        except BadAddress as problem:
            return Reply(553, f"5.1.3 {problem}")
        return Reply(250, "2.1.5 Recipient accepted")

    async def data(self, session: Session, content: bytes) -> Reply:
        try:
            return await in_thread(_submit, session, content)
        except DatabaseError:
            log.exception("Message of %s", session.user)
            return SICK


def _log_in(session: Session, user: str, password: str) -> Reply | None:
    keys = [f"smtp-failures:{who}" for who in (user.lower(), session.peer)]
    if any(int(count) >= FAILURES for count in cache.get_many(keys).values()):
        return Reply(454, "4.7.0 Too many wrong passwords; try again in a quarter of an hour")
    sender = Sender.objects.filter(address=user.lower(), deleted_at=None).select_related("domain", "account").first()
    if sender is None or not senders.check_smtp_password(sender, password):
        for key in keys:
            cache.add(key, 0, timeout=FAILURES_FORGOTTEN_AFTER)
            cache.incr(key)
        return Reply(535, "5.7.8 Wrong user name or password: use a sender address and the SMTP password set for it")
    if not sender.is_usable:
        return Reply(535, f"5.7.8 {sender.address} may not send at present; see its page in the console")
    session.account = sender
    return None


def _submit(session: Session, content: bytes) -> Reply:
    sender: Sender = session.account
    envelope = session.envelope
    assert envelope
    found, _ = submitted.fields(content)
    if submitted.authors(found) != [sender.address]:
        return Reply(550, f"5.7.1 The From field must be {sender.address}, the address you are logged in as")
    now = timezone.now()
    message_id = f"<{uuid4()}@{sender.domain.name}>"
    mime = submitted.complete(content, message_id=message_id, timestamp=now.timestamp())
    recipients = list(dict.fromkeys(str(parse(rcpt.address)) for rcpt in envelope.rcpts))
    try:
        accepted = messages.submit_mime(mime, sender=sender, recipients=recipients, now=now)
    except Refusal as refusal:
        return Reply(552, f"5.7.1 {refusal.message}")
    return Reply(250, f"2.0.0 Accepted as {accepted[0].pk}")
