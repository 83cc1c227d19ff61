"""Mail that comes back seconds after the sink has taken a message: bounces, complaints, automatic replies."""

import asyncio
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from mailpush.mail import client
from mailpush.mail.parts import Header
from mailpush.sandbox.rules import Fate, bounce_reply, fate_of

logger = logging.getLogger(__name__)

SENT_AFTER = 3.0  # seconds
TRY_FOR = 60.0
TRY_EVERY = 5.0
COME_BACK = frozenset({Fate.LATE, Fate.COMPLAIN, Fate.AWAY})


@dataclass(frozen=True, slots=True)
class Taken:
    """A message the sink has taken."""

    mail_from: str
    rcpt_to: str
    envelope_id: str
    content: bytes


@dataclass(frozen=True, slots=True)
class Postman:
    """Brings mail back to the platform's mx door."""

    host: str
    port: int
    helo: str

    async def answer(self, taken: Taken) -> None:
        """Answer after a while as the recipient's name asks, trying for a minute."""
        mail_from, address, mail = answer_to(taken, reporter=self.helo)
        await asyncio.sleep(SENT_AFTER)
        for _ in range(int(TRY_FOR / TRY_EVERY)):
            if await self._brought(mail_from, address, mail):
                return
            await asyncio.sleep(TRY_EVERY)
        logger.warning("The answer of %s could not be brought back to %s:%s", taken.rcpt_to, self.host, self.port)

    async def _brought(self, mail_from: str, address: str, mail: bytes) -> bool:
        try:
            session = await client.connect(self.host, self.port, helo=self.helo)
        except client.ConnectFailed:
            return False
        try:
            sent = await session.send(mail_from, address, mail)
        except client.ConnectionLost:
            return False
        finally:
            await session.close()
        return sent.reply.code // 100 in {2, 5}  # refused for good is an answer, too


def answer_to(taken: Taken, *, reporter: str) -> tuple[str, str, bytes]:
    """Return envelope sender, recipient and bytes of what comes back."""
    match fate_of(taken.rcpt_to):
        case Fate.COMPLAIN:
            return f"feedback@{reporter}", f"fbl@{taken.mail_from.rpartition('@')[2]}", complaint(taken, reporter)
        case Fate.AWAY:
            return "", taken.mail_from, absence(taken)  # RFC 3834 section 3.3: the null sender
        case _:
            return "", taken.mail_from, failure_report(taken, reporter)


def failure_report(taken: Taken, reporter: str) -> bytes:
    """Return a delivery status notification (RFC 3464) that says what the address asks for, or 5.1.1."""
    reply = bounce_reply(taken.rcpt_to)
    kind = "rfc822" if taken.rcpt_to.isascii() else "utf-8"
    about_message = [f"Reporting-MTA: dns; {reporter}"]
    if taken.envelope_id:
        about_message.append(f"Original-Envelope-Id: {taken.envelope_id}")
    about_recipient = [
        f"Final-Recipient: {kind}; {taken.rcpt_to}",
        "Action: failed",
        f"Status: {reply.enhanced_code}",
        f"Diagnostic-Code: smtp; {reply}",
    ]
    return _report(
        [
            f"From: Mail Delivery System <mailer-daemon@{reporter}>",
            f"To: <{taken.mail_from}>",
            "Subject: Undelivered Mail Returned to Sender",
            "Auto-Submitted: auto-replied",
        ],
        "delivery-status",
        [
            ("text/plain; charset=utf-8", f"Your message to {taken.rcpt_to} could not be delivered: {reply}\r\n"),
            ("message/delivery-status", "\r\n".join([*about_message, "", *about_recipient, ""])),
            ("text/rfc822-headers", _header_of(taken)),
        ],
    )


def complaint(taken: Taken, reporter: str) -> bytes:
    """Return a feedback report (RFC 5965): the reader has called it spam."""
    fields = ["Feedback-Type: abuse", "User-Agent: sandbox/1.0", "Version: 1", f"Original-Rcpt-To: {taken.rcpt_to}"]
    return _report(
        [
            f"From: <feedback@{reporter}>",
            f"To: <fbl@{taken.mail_from.rpartition('@')[2]}>",
            "Subject: A reader has called your mail spam",
        ],
        "feedback-report",
        [
            ("text/plain; charset=utf-8", "This is an abuse report of a mail that came from you.\r\n"),
            ("message/feedback-report", "\r\n".join([*fields, ""])),
            ("text/rfc822-headers", _header_of(taken)),
        ],
    )


def absence(taken: Taken) -> bytes:
    """Return an automatic reply (RFC 3834)."""
    headers = [
        f"From: <{taken.rcpt_to}>",
        f"To: <{taken.mail_from}>",
        "Subject: Out of office",
        "Auto-Submitted: auto-replied",
        f"In-Reply-To: {Header(_header_of(taken).encode())['message-id']}",
        *_stamps(),
        "Content-Type: text/plain; charset=utf-8",
    ]
    return "\r\n".join([*headers, "", "I am away and read your mail when I am back.", ""]).encode()


def _report(headers: list[str], kind: str, parts: list[tuple[str, str]]) -> bytes:
    boundary = f"=_{secrets.token_hex(8)}"
    described = f'Content-Type: multipart/report; report-type="{kind}"; boundary="{boundary}"'
    bodies = [f"--{boundary}\r\nContent-Type: {part}\r\n\r\n{body}" for part, body in parts]
    return "\r\n".join([*headers, *_stamps(), described, "", *bodies, f"--{boundary}--", ""]).encode()


def _stamps() -> list[str]:
    return [
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: <{secrets.token_hex(8)}@sandbox.test>",
        "MIME-Version: 1.0",
    ]


def _header_of(taken: Taken) -> str:
    return taken.content.partition(b"\r\n\r\n")[0].decode("utf-8", "replace") + "\r\n"
