"""Delivery status notifications (RFC 3464, RFC 6533): what servers report of a message they had accepted."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from mailpush.mail import addresses
from mailpush.mail.parts import Header, Part
from mailpush.mail.replies import ENHANCED_CODE, Reply

STATUS_KINDS = frozenset({"message/delivery-status", "message/global-delivery-status"})
MOST_BLOCKS = 100  # recipients in a report; ours have one

REFUSED = 550
CODES = {"2": 250, "4": 450, "5": REFUSED}  # where a report gives an enhanced code only

_BLANK_LINE = re.compile(r"\n[ \t]*\n")
# What stands before the reply in a diagnostic: "host mx.example said:", a code in parentheses …
_REPLY = re.compile(r"(?<![\d.])([245]\d\d)(?:[ -]+|$)#?([245]\.\d{1,3}\.\d{1,3})?")
_COMMENT = re.compile(r"\([^()]*\)")
_UNICODE = re.compile(r"\\x\{([0-9A-Fa-f]{2,6})\}")
_ACTIONS = ("failed", "delayed", "delivered", "relayed", "expanded")
# What some servers write for "failed".
_FAILED = ("fail", "error", "bounce", "undeliver")


@dataclass(frozen=True, slots=True)
class RecipientReport:
    """One recipient's block: `action` is failed, delayed, delivered, relayed or expanded (RFC 3464 section 2.3.3)."""

    final: str  # the address the reporting server tried; empty where it does not say
    original: str  # the address we gave it, where it says
    action: str
    reply: Reply  # the reply that the block quotes, or the one that its status amounts to

    @property
    def is_failure(self) -> bool:
        return self.action == "failed"


@dataclass(frozen=True, slots=True)
class Notification:
    """A whole report."""

    envelope_id: str
    recipients: tuple[RecipientReport, ...]


def read(part: Part) -> Notification:
    """Read a status part; servers that write everything into one block are understood, too."""
    blocks = [Header(block.encode()) for block in _BLANK_LINE.split(part.text())[:MOST_BLOCKS]]
    envelope_id = next((block["original-envelope-id"] for block in blocks if "original-envelope-id" in block), "")
    reports = [report for block in blocks if (report := _report(block))]
    return Notification(_without_comment(envelope_id), tuple(reports))


def decisive(reports: Sequence[RecipientReport], recipient: str) -> RecipientReport | None:
    """Return the block that tells what became of our recipient.

    Where none names it, the server has sent the message on to others. All of them must have failed for it
    to have failed; otherwise the block that failed least counts.
    """
    wanted = recipient.lower()
    named = [each for each in reports if wanted and wanted in {each.final.lower(), each.original.lower()}]
    candidates: Iterable[RecipientReport] = named or reports
    order = ("delivered", "relayed", "expanded", "delayed", "failed")
    return min(candidates, key=lambda each: order.index(each.action), default=None)


def is_about(report: RecipientReport, recipient: str) -> bool:
    """Tell whether the server speaks of this very mailbox, not of one that its mail is sent on to.

    A server's own name for the mailbox (an alias resolved) is the mailbox, as long as the domain is the same.
    """
    recipient, final, original = recipient.lower(), report.final.lower(), report.original.lower()
    if "@" not in final:  # not told, or a local user name
        return original in {"", recipient}
    is_renamed = original == recipient and final.rpartition("@")[2] == recipient.rpartition("@")[2]
    return final == recipient or is_renamed


def _report(block: Header) -> RecipientReport | None:
    """Read a block about a recipient; the per-message block has none."""
    final = _address(block["final-recipient"] or block["x-actual-recipient"])
    original = _address(block["original-recipient"])
    action, status = block["action"].lower(), ENHANCED_CODE.search(block["status"])
    if not (final or original or (action and status)):
        return None
    said = status[0] if status else ""
    return RecipientReport(
        final=final, original=original, action=_action(action, said), reply=_reply(block["diagnostic-code"], said)
    )


def _action(action: str, status: str) -> str:
    found = next((each for each in _ACTIONS if action.startswith(each)), "")
    if found:
        return found
    if action.startswith(_FAILED) or (not action and status.startswith("5")):
        return "failed"
    return "delayed" if status.startswith("4") else "relayed"


def _reply(diagnostic: str, status: str) -> Reply:
    """Return the quoted reply, its enhanced code first, where `Reply` looks for it.

    The server's own code is nearer to the truth than the status, which a relay may have made up (5.0.0).
    """
    words = _after_type(diagnostic)
    found = _REPLY.search(words)
    code = int(found[1]) if found else CODES.get(status[:1], REFUSED)
    enhanced = (found[2] if found else None) or ("" if found and status.endswith(".0.0") else status)
    text = words[found.end() :].lstrip(" -") if found and words[: found.start()].strip() == "" else words
    text = text or f"{status} reported by the receiving server"
    return Reply(code, text if not enhanced or text.startswith(enhanced) else f"{enhanced} {text}")


def _address(value: str) -> str:
    """Return the address behind "rfc822;" or "utf-8;", which may write characters as numbers (RFC 6533 section 3)."""
    text = _without_comment(_after_type(value)).strip("<> ")
    text = _UNICODE.sub(lambda found: _character(int(found[1], 16)), text)
    if text.isascii():
        return text
    try:
        return addresses.parse(text).key  # its domain as we write domains
    except addresses.BadAddress:
        return text


def _character(number: int) -> str:
    is_character = number < 0x110000 and not 0xD800 <= number < 0xE000  # noqa: PLR2004 - Unicode's own bounds
    return chr(number) if is_character and chr(number).isprintable() else "\ufffd"


def _after_type(value: str) -> str:
    """Return what stands behind "rfc822;" or "smtp;"."""
    kind, semicolon, rest = value.partition(";")
    return rest.strip() if semicolon and " " not in kind.strip() else value.strip()


def _without_comment(value: str) -> str:
    return _COMMENT.sub("", value).strip()
