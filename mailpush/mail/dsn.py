"""Delivery status notifications (RFC 3464): what a server reports of a message it had accepted."""

import email
import email.policy
import re
from dataclasses import dataclass
from email.message import Message

ENHANCED_CODE = re.compile(r"[245]\.\d{1,3}\.\d{1,3}")
REPLY_CODE = re.compile(r"\b([245]\d\d)[ -]")


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """One recipient's block: `action` is failed, delayed, delivered, relayed or expanded (section 2.3.3)."""

    recipient: str
    action: str
    status: str  # enhanced code, such as 5.1.1
    diagnostic: str  # the server's words
    code: int | None  # SMTP reply code, where the words hold one


def read(mime: bytes) -> list[RecipientReport]:
    """Return the reports of a notification; none, where the message is not one."""
    message = email.message_from_bytes(mime, policy=email.policy.compat32)
    if message.get_content_type() != "multipart/report":
        return []
    for part in message.walk():
        if part.get_content_type() in {"message/delivery-status", "message/global-delivery-status"}:
            blocks = part.get_payload()
            if isinstance(blocks, list):
                return [report for block in blocks if isinstance(block, Message) and (report := _report(block))]
    return []


def _report(block: Message) -> RecipientReport | None:
    """Read a block with a Final-Recipient; the per-message block has none."""
    recipient = str(block.get("Final-Recipient") or block.get("Original-Recipient") or "")
    if not recipient:
        return None
    diagnostic = _after_type(str(block.get("Diagnostic-Code") or ""))
    status = ENHANCED_CODE.search(str(block.get("Status") or "")) or ENHANCED_CODE.search(diagnostic)
    code = REPLY_CODE.search(diagnostic)
    return RecipientReport(
        recipient=_after_type(recipient),
        action=str(block.get("Action") or "").strip().lower(),
        status=status[0] if status else "",
        diagnostic=diagnostic,
        code=int(code[1]) if code else None,
    )


def _after_type(value: str) -> str:
    """Return what stands behind "rfc822;" or "smtp;", unfolded."""
    return " ".join(value.partition(";")[2].split() if ";" in value else value.split())
