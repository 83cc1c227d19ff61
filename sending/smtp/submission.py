"""Submission (RFC 6409): customers' programs send through a sender address and its SMTP password.

A message is answered 250 when it is stored for good. Look-ups and storing are done for all connections at once.
"""

import asyncio
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.conf import settings
from django.db import DatabaseError
from django.utils import timezone

from accounts.quotas import QuotaSpent
from mailpush.lib.refusals import Refusal
from mailpush.lib.threads import in_thread
from mailpush.mail import directives, submitted
from mailpush.mail.addresses import Address, BadAddress, parse
from mailpush.mail.directives import BadDirective
from mailpush.mail.door import Session
from mailpush.mail.envelope import Envelope, Params
from mailpush.mail.replies import Reply
from mailpush.mail.submitted import BadMessage
from recipients.models import Suppression
from senders.models import Stream
from sending import bodies, screening
from sending.acceptance import NotStored
from sending.screening import Finding, Question
from sending.services import submissions
from sending.services.submissions import Accepted, Incoming
from sending.smtp import list_mail, logins
from sending.smtp.grouping import Group, Waker
from sending.smtp.logins import Login
from sending.statements import Line

log = logging.getLogger(__name__)

NOT_LOGGED_IN = Reply(530, "5.7.0 Log in first, with your sender address and its SMTP password")
SICK = Reply(451, "4.3.0 We cannot store your message at the moment; send it again in a few minutes")
TAKEN = Reply(250, "2.1.5 Recipient accepted")
ALONE = Reply(452, "4.5.3 A list goes alone; send to the others in another message")

SUPPRESSED = {
    Suppression.Reason.BOUNCED: "its mailbox does not exist",
    Suppression.Reason.COMPLAINED: "its reader complained about your mail",
    Suppression.Reason.UNSUBSCRIBED: "its reader has unsubscribed",
    Suppression.Reason.MANUAL: "it was added by hand",
}


class Refused(Exception):
    """The message itself cannot be taken; `reply` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, text)


@dataclass(slots=True)
class Recipients:
    """What RCPT has found out: addresses in their one spelling, or the list that is the only one."""

    addresses: list[str] = field(default_factory=list)
    list_id: int | None = None


class SubmissionDoor:
    """Lets in who proves a sender address or a domain."""

    def __init__(self) -> None:
        self._screening: Group[Question, Finding] = Group(self._screen)
        self._accepting: Group[Incoming, Accepted | Refusal] = Group(
            self._accept, size=lambda wanted: len(wanted.stored.get("mime", b""))
        )
        self._lines = Line(), Line()
        self._waker = Waker()

    async def close(self) -> None:
        """Let go of what the door holds, when nobody is inside any more."""
        for line in self._lines:
            await line.close()
        self._waker.close()

    async def connected(self, session: Session) -> Reply | None:
        return None

    async def closed(self, session: Session) -> None:
        return None

    async def auth(self, session: Session, user: str, password: str) -> Reply | None:
        try:
            attempt = await in_thread(logins.log_in, session, user, password)
        except DatabaseError:
            log.exception("Login of %s", user)
            return Reply(454, "4.3.0 Logins cannot be checked at the moment; try again in a few minutes")
        await asyncio.sleep(attempt.seconds)
        return attempt.refusal

    async def mail(self, session: Session, mail_from: str, params: Params) -> Reply:
        login: Login | None = session.account
        if login is None:
            return NOT_LOGGED_IN
        if not login.covers(_key(mail_from)):
            return Reply(553, f"5.7.1 You are logged in as {session.user}; MAIL FROM must be {login.whose}")
        return Reply(250, "2.1.0 Sender accepted")

    async def rcpt(self, session: Session, rcpt_to: str, params: Params) -> Reply:
        envelope, login = session.envelope, session.account
        assert envelope
        try:
            address = parse(rcpt_to)
        except BadAddress as problem:
            return Reply(553, f"5.1.3 {problem}")
        try:
            question = Question(login.sender, _key(envelope.mail_from), address.key)
            finding = await self._screening.ask(question)
        except DatabaseError:
            log.exception("Recipient of %s", session.user)
            return Reply(451, "4.3.0 Recipients cannot be looked up at the moment; try again in a few minutes")
        return _judge(envelope, login, address, finding)

    async def data(self, session: Session, content: bytes) -> Reply:
        assert session.envelope
        try:
            message, wanted = _read(session, content)
            if session.envelope.note.list_id:
                return await in_thread(list_mail.order, session, content, wanted)
            return await self._take(session, message, wanted)
        except Refused as refused:
            return refused.reply
        except Refusal as refusal:
            return _refusal(refusal)
        except (DatabaseError, OSError):
            log.exception("Message of %s", session.user)
            return SICK

    async def _take(self, session: Session, message: submitted.Submitted, wanted: Incoming) -> Reply:
        """Store a message for its recipients.

        :raises Refusal: it may not be sent.
        """
        assert session.envelope
        timestamp = time.time()
        mime = message.completed(
            domain=wanted.login.domain.name,
            timestamp=timestamp,
            trace=_trace(session, session.envelope, timestamp),
        )
        if len(mime) <= bodies.LARGEST_IN_ROW:
            wanted.stored = bodies.store(mime)
            answer = await self._accepting.ask(wanted)
        else:
            answer = await self._take_large(mime, wanted)
        if isinstance(answer, Refusal):
            raise answer
        return Reply(250, f"2.0.0 Accepted as {answer.message_id}")

    async def _take_large(self, mime: bytes, wanted: Incoming) -> Accepted | Refusal:
        """Put the message into storage first, and take it out again where nobody needs it.

        Where the database gives no answer it may have accepted the message all the same, so the file stays.
        """
        wanted.stored = await in_thread(bodies.store, mime)
        answer = await self._accepting.ask(wanted)
        if isinstance(answer, Refusal) or not answer.is_new:
            await in_thread(bodies.discard, wanted.stored)
        return answer

    # For all connections at once

    async def _screen(self, questions: Sequence[Question]) -> Sequence[Finding]:
        return await screening.ask(self._lines[0], questions, now=timezone.now())

    async def _accept(self, wanted: Sequence[Incoming]) -> Sequence[Accepted | Refusal]:
        answers, lanes = await submissions.accept(self._lines[1], wanted, now=timezone.now())
        self._waker.wake(lanes)
        return answers


def _key(address: str) -> str:
    """Return the one spelling of a sender's address; text that is no address matches nobody's."""
    if address.isascii():
        return address.lower()
    try:
        return parse(address).key
    except BadAddress:
        return address.lower()


def _judge(envelope: Envelope, login: Login, address: Address, finding: Finding) -> Reply:
    """Answer a RCPT; what it said of a list is noted for the message."""
    known: Recipients = envelope.note or Recipients()
    envelope.note = known
    if finding.list_id is None:
        if refusal := ALONE if known.list_id else _why_not(envelope, address, finding):
            return refusal
        known.addresses.append(str(address))
        return TAKEN
    if login.sender.stream != Stream.BATCH:
        return Reply(554, f"5.7.1 {address} is a recipient list; log in with a sender address of type batch")
    if envelope.rcpts:
        return ALONE
    known.list_id = finding.list_id
    return Reply(250, "2.1.5 Your recipient list; the message becomes a batch")


def _why_not(envelope: Envelope, address: Address, finding: Finding) -> Reply | None:
    if finding.reason:
        why = SUPPRESSED[Suppression.Reason(finding.reason)]
        if finding.is_everybodys:
            return Reply(550, f"5.1.1 Nobody here may write to {address}: {why}")
        return Reply(550, f"5.7.1 {address} is on your suppression list: {why}; you can take it off in the console")
    if finding.left <= len(envelope.rcpts):
        return Reply(452, f"4.7.1 Your quota allows {max(finding.left, 0)} more messages; see your account's settings")
    return None


def _read(session: Session, content: bytes) -> tuple[submitted.Submitted, Incoming]:
    """Return the message taken apart, and what is to be accepted of it.

    :raises Refused: it may not be sent as it is.
    """
    assert session.envelope
    login: Login = session.account
    try:
        message = submitted.read(content)
        asked = directives.read(message)
    except BadMessage as problem:
        raise Refused(554, str(problem)) from problem
    except BadDirective as problem:
        raise Refused(504, f"5.5.4 {problem}") from problem
    authors = [_key(author) for author in message.authors]
    if len(authors) != 1 or not login.covers(authors[0]):
        raise Refused(553, f"5.7.1 You are logged in as {session.user}; the From field must be {login.whose}, alone")
    return message, Incoming(
        login=login.sender,
        author=authors[0],
        recipients=list(dict.fromkeys(session.envelope.note.addresses)),
        tag=asked.tag,
        key=asked.key or message.value(b"message-id"),
        is_tracked=asked.is_tracked,
    )


def _refusal(refusal: Refusal) -> Reply:
    match refusal:
        case QuotaSpent():
            return Reply(452, f"4.7.1 {refusal.message}")
        case NotStored():
            return Reply(451, f"4.3.0 {refusal.message}")
        case submissions.LoginEnded():
            return Reply(421, f"4.7.0 {refusal.message}")
        case _:
            return Reply(554, f"5.7.0 {refusal.message}")


def _trace(session: Session, envelope: Envelope, timestamp: float) -> bytes:
    """Return our Received field; the keyword is RFC 3848's, with SMTPUTF8 RFC 6531's."""
    keyword = ("UTF8SMTP" if envelope.is_utf8 else "ESMTP") + ("SA" if session.is_encrypted else "A")
    client = (session.helo, session.peer) if settings.MAILPUSH_RECEIVED == "client" else None
    return submitted.received(by=settings.MAILPUSH_MAIL_HOST, protocol=keyword, timestamp=timestamp, client=client)
