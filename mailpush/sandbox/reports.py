"""Delivery reports that come back by mail, seconds after the sink has accepted a message (RFC 3464)."""

import asyncio
import logging
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime

from mailpush.mail import client

logger = logging.getLogger(__name__)

SENT_AFTER = 3.0  # seconds
TRY_FOR = 60.0
TRY_EVERY = 5.0


@dataclass(frozen=True, slots=True)
class Postman:
    """Brings reports to the platform's mx door."""

    host: str
    port: int
    helo: str

    async def report_failure(self, *, mail_from: str, rcpt_to: str, content: bytes) -> None:
        """Report after a while that the mailbox does not exist, trying for a minute."""
        report = failure_report(mail_from=mail_from, rcpt_to=rcpt_to, content=content, reporter=self.helo)
        await asyncio.sleep(SENT_AFTER)
        for _ in range(int(TRY_FOR / TRY_EVERY)):
            if await self._brought(mail_from, report):
                return
            await asyncio.sleep(TRY_EVERY)
        logger.warning("The report for %s could not be brought back to %s:%s", rcpt_to, self.host, self.port)

    async def _brought(self, address: str, report: bytes) -> bool:
        try:
            session = await client.connect(self.host, self.port, helo=self.helo)
        except client.ConnectFailed:
            return False
        try:
            sent = await session.send("", address, report)
        except client.ConnectionLost:
            return False
        finally:
            await session.close()
        return sent.reply.code // 100 in {2, 5}  # refused for good is an answer, too


def failure_report(*, mail_from: str, rcpt_to: str, content: bytes, reporter: str) -> bytes:
    """Return a multipart/report that says 5.1.1 of `rcpt_to`."""
    original = content.partition(b"\r\n\r\n")[0] + b"\r\n"
    boundary = f"=_{secrets.token_hex(8)}"
    headers = [
        f"From: Mail Delivery System <mailer-daemon@{reporter}>",
        f"To: <{mail_from}>",
        "Subject: Undelivered Mail Returned to Sender",
        f"Date: {format_datetime(datetime.now(UTC))}",
        f"Message-ID: <{secrets.token_hex(8)}@{reporter}>",
        "Auto-Submitted: auto-replied",
        "MIME-Version: 1.0",
        f'Content-Type: multipart/report; report-type="delivery-status"; boundary="{boundary}"',
    ]
    parts = [
        ("text/plain; charset=utf-8", f"Your message to {rcpt_to} could not be delivered: no such mailbox here.\r\n"),
        ("message/delivery-status", _status(rcpt_to, reporter)),
        ("text/rfc822-headers", ""),
    ]
    bodies = [f"--{boundary}\r\nContent-Type: {kind}\r\n\r\n{body}" for kind, body in parts]
    text = "\r\n".join([*headers, "", *bodies])
    return text.encode() + original + f"\r\n--{boundary}--\r\n".encode()


def _status(rcpt_to: str, reporter: str) -> str:
    kind = "rfc822" if rcpt_to.isascii() else "utf-8"
    lines = [
        f"Reporting-MTA: dns; {reporter}",
        "",
        f"Final-Recipient: {kind}; {rcpt_to}",
        "Action: failed",
        "Status: 5.1.1",
        f"Diagnostic-Code: smtp; 550 5.1.1 <{rcpt_to}>: no such mailbox here",
        "",
    ]
    return "\r\n".join(lines)
