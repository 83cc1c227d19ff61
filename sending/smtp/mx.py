"""The mx door: customers' MX records name us, and what comes to their domains is reports, complaints and wishes.

It never answers by mail: what it does not take it refuses at RCPT, and what it has taken it never bounces.
"""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

from django.db import Error as DatabaseError
from django.db import transaction
from django.utils import timezone

from mailpush.lib.threads import in_thread
from mailpush.mail.door import Session
from mailpush.mail.envelope import Params
from mailpush.mail.replies import SHUTTING_DOWN, Reply
from mailpush.mail.tally import Tally
from sending import mailboxes, tasks
from sending.mailboxes import Box, NotHere
from sending.models import Returned
from sending.smtp.grouping import Group

log = logging.getLogger(__name__)

DAY, HOUR, TEN_MINUTES = 86_400.0, 3600.0, 600.0  # seconds
# Of one message come a few notices of delay, a bounce, an auto-reply; whoever sends more fills our disk.
REPORTS_A_MESSAGE = 25  # a day
REPORTS_A_PEER = 1000  # an hour to one sender address: a campaign's bounces, but not a flood
FORWARDED = 60  # an hour for each address whose mail goes on to people
UNKNOWN_A_PEER = 100  # unknown recipients in ten minutes: somebody tries addresses out
UNKNOWN_A_SESSION = 20

SICK = Reply(451, "4.3.0 We cannot store the report at the moment; send it again later")
TOO_MANY = Reply(450, "4.7.1 Too much mail has come to this address; try again later")


@dataclass(slots=True)
class Visit:
    """What the door knows of one connection."""

    boxes: dict[str, Box] = field(default_factory=dict)
    unknown: int = 0


class MxDoor:
    """Takes what `mailboxes` knows; answers 250 when it is stored for good."""

    def __init__(self) -> None:
        self._storing: Group[list[Returned], None] = Group(
            _stored, size=lambda rows: sum(len(row.mime) for row in rows)
        )
        self._reports = Tally(REPORTS_A_MESSAGE, DAY)
        self._unsigned = Tally(REPORTS_A_PEER, HOUR)
        self._forwarded = Tally(FORWARDED, HOUR)
        self._unknown = Tally(UNKNOWN_A_PEER, TEN_MINUTES)

    async def connected(self, session: Session) -> Reply | None:
        session.account = Visit()
        if self._unknown.is_spent(session.peer):
            return Reply(SHUTTING_DOWN, "4.7.1 Too many unknown recipients from your address; try again in ten minutes")
        return None

    async def closed(self, session: Session) -> None:
        return None

    async def auth(self, session: Session, user: str, password: str) -> Reply | None:
        return Reply(502, "5.5.1 Nobody logs in here")

    async def mail(self, session: Session, mail_from: str, params: Params) -> Reply:
        return Reply(250, "2.1.0 Sender accepted")

    async def rcpt(self, session: Session, rcpt_to: str, params: Params) -> Reply:
        assert session.envelope
        try:
            box = await _box(rcpt_to, mail_from=session.envelope.mail_from)
        except NotHere as refusal:
            return self._refuse(session, str(refusal))
        except DatabaseError:
            log.exception("Recipient %s", rcpt_to)
            return SICK
        if not self._is_within_limits(box, rcpt_to.lower(), session.peer):
            return TOO_MANY
        _visit(session).boxes[rcpt_to] = box
        return Reply(250, "2.1.5 Recipient accepted")

    def _is_within_limits(self, box: Box, address: str, peer: str) -> bool:
        if box.message_id is not None:
            return self._reports.add(f"{box.kind} {box.message_id}")
        if box.kind in {Returned.Mailbox.SENDER, Returned.Mailbox.COMPLAINTS}:
            return self._unsigned.add(f"{peer} {address}")
        return self._forwarded.add(address)

    def _refuse(self, session: Session, sentence: str) -> Reply:
        visit = _visit(session)
        visit.unknown += 1
        if not self._unknown.add(session.peer) or visit.unknown > UNKNOWN_A_SESSION:
            return Reply(SHUTTING_DOWN, "4.7.1 Too many unknown recipients; try again in ten minutes")
        return Reply(550, sentence)

    async def data(self, session: Session, content: bytes) -> Reply:
        try:
            await self._storing.ask(_rows(session, content))
        except DatabaseError:
            log.exception("Report from %s", session.peer)
            return SICK
        return Reply(250, "2.0.0 Thank you")


async def _box(address: str, *, mail_from: str) -> Box:
    """Find what the address is; a signed one without the database."""
    box = mailboxes.signed(address, mail_from=mail_from, now=timezone.now())
    return await in_thread(mailboxes.find, address, mail_from=mail_from) if box is None else box


def _visit(session: Session) -> Visit:
    """STARTTLS makes the session forget who it is with (RFC 3207 section 4.2)."""
    if not isinstance(session.account, Visit):
        session.account = Visit()
    return session.account


def _rows(session: Session, content: bytes) -> list[Returned]:
    assert session.envelope
    now, boxes = timezone.now(), _visit(session).boxes
    return [
        Returned(
            mailbox=boxes[rcpt.address].kind,
            account_id=boxes[rcpt.address].account_id,
            message_id=boxes[rcpt.address].message_id,
            mail_from=session.envelope.mail_from[:320],
            rcpt_to=rcpt.address[:320],
            peer=session.peer,
            mime=content,
            received_at=now,
        )
        for rcpt in session.envelope.rcpts
    ]


async def _stored(mails: Sequence[list[Returned]]) -> list[None]:
    await in_thread(_store, mails)
    return [None] * len(mails)


@transaction.atomic
def _store(mails: Sequence[list[Returned]]) -> None:
    Returned.objects.bulk_create([row for rows in mails for row in rows])
    # robust: with the broker down the report is kept; the next beat finds it.
    transaction.on_commit(tasks.read_returned.delay, robust=True)
