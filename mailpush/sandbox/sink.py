"""A mail server for every domain of the pretend internet: it follows `rules` and keeps what it accepts."""

import asyncio
import queue
import re
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from email.errors import HeaderParseError
from email.header import decode_header, make_header

from mailpush.mail.envelope import Envelope, Params
from mailpush.mail.replies import Reply
from mailpush.mail.server import Session
from mailpush.mail.wire import PeerGone
from mailpush.sandbox.reports import COME_BACK, Postman, Taken
from mailpush.sandbox.rules import (
    FULL,
    GREYLISTED,
    GREYLISTED_FOR,
    SLOW_SECONDS,
    SPAM,
    Fate,
    Memory,
    bounce_reply,
    fate_of,
)
from mailpush.sandbox.world import KEPT_MAILS, Mail, World

OK = Reply(250, "2.1.0 OK")
TAKEN = Reply(250, "2.0.0 Accepted")
SUBJECT = re.compile(rb"^subject:[ \t]*([^\r\n]*(?:\r\n[ \t][^\r\n]*)*)", re.IGNORECASE | re.MULTILINE)
LONGEST_SUBJECT = 500

Keep = Callable[[list[Mail]], None]


class Sink:
    """A door (`mail.door.Door`) that hands what it takes to `keep`, one mail per recipient."""

    def __init__(self, keep: Keep, postman: Postman | None = None, clock: Callable[[], float] = time.time) -> None:
        self._keep = keep
        self._postman = postman
        self._clock = clock
        self._memory = Memory()
        self._reports: set[asyncio.Task[None]] = set()

    async def connected(self, session: Session) -> Reply | None:
        return None

    async def auth(self, session: Session, user: str, password: str) -> Reply | None:
        return Reply(502, "5.5.1 No login is needed here")

    async def mail(self, session: Session, mail_from: str, params: Params) -> Reply:
        return OK

    async def rcpt(self, session: Session, rcpt_to: str, params: Params) -> Reply:
        match fate_of(rcpt_to):
            case Fate.BOUNCE:
                return bounce_reply(rcpt_to)
            case Fate.FULL:
                return FULL
            case Fate.DEFER if self._seconds_known(session, rcpt_to) < GREYLISTED_FOR:
                return GREYLISTED
            case Fate.SLOW:
                await asyncio.sleep(SLOW_SECONDS)
        return OK

    async def data(self, session: Session, content: bytes) -> Reply:
        assert session.envelope
        recipients = [recipient.address for recipient in session.envelope.rcpts]
        fates = {fate_of(recipient) for recipient in recipients}
        if Fate.SPAM in fates:
            return SPAM
        if any(fate_of(each) is Fate.DROP and not self._seconds_known(session, each) for each in recipients):
            raise PeerGone
        if Fate.SLOW in fates:
            await asyncio.sleep(SLOW_SECONDS)
        self._take(session, session.envelope, content)
        return TAKEN

    async def closed(self, session: Session) -> None:
        pass

    async def close(self) -> None:
        """Forget the answers that are still to be sent."""
        for report in self._reports:
            report.cancel()
        await asyncio.gather(*self._reports, return_exceptions=True)

    def _take(self, session: Session, envelope: Envelope, content: bytes) -> None:
        now, mail_from = self._clock(), envelope.mail_from
        recipients = [recipient.address for recipient in envelope.rcpts]
        self._keep(
            [
                Mail(now, mail_from, recipient, "", session.peer, session.is_encrypted, len(content), content)
                for recipient in recipients
            ]
        )
        for recipient in recipients:
            if self._postman and mail_from and fate_of(recipient) in COME_BACK:
                taken = Taken(mail_from, recipient, envelope.params.get("ENVID", ""), content)
                report = asyncio.create_task(self._postman.answer(taken))
                self._reports.add(report)
                report.add_done_callback(self._reports.discard)

    def _seconds_known(self, session: Session, rcpt_to: str) -> float:
        """Return how long ago this sender first tried this recipient; 0 the first time."""
        assert session.envelope
        now = self._clock()
        return now - self._memory.first_try(session.envelope.mail_from, rcpt_to, now=now)


class Recorder:
    """Writes mails to the world from a thread of its own, many to a commit."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._queue: queue.SimpleQueue[list[Mail] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, name="recorder")
        self._thread.start()

    def keep(self, mails: list[Mail]) -> None:
        self._queue.put(mails)

    def close(self) -> None:
        """Write what is left, then end."""
        self._queue.put(None)
        self._thread.join()

    def _write(self) -> None:
        is_open = True
        while is_open:
            gathered = [self._queue.get()]
            while not self._queue.empty():
                gathered.append(self._queue.get())
            is_open = None not in gathered
            mails = [mail for group in gathered if group for mail in group]
            if mails:
                self._world.capture(_with_subjects(mails))


def _with_subjects(mails: list[Mail]) -> list[Mail]:
    """Read the subjects, of those that will be kept only."""
    dropped = max(len(mails) - KEPT_MAILS, 0)
    return mails[:dropped] + [replace(mail, subject=subject_of(mail.raw)) for mail in mails[dropped:]]


def subject_of(content: bytes) -> str:
    """Return the subject as people read it."""
    found = SUBJECT.search(content.partition(b"\r\n\r\n")[0])
    text = re.sub(r"\r\n[ \t]+", " ", found[1].decode(errors="replace")) if found else ""
    if "=?" in text:
        with suppress(HeaderParseError, LookupError, ValueError):  # then it is shown as it came
            text = str(make_header(decode_header(text)))
    return text.strip()[:LONGEST_SUBJECT]
