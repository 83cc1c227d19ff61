"""What a receiving mail server said, and what that means for the message.

The first digit is RFC 5321 section 4.2.1, the enhanced code RFC 3463; the words decide where providers use a
code for something else. Pure: no retry policy, no suppression, only the reading.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

from mailpush.mail.wordings import LATER_WORDINGS, WORDINGS, Failure

__all__ = ["Failure", "Reply", "Verdict", "address_is_dead", "classify"]

ENHANCED_CODE = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")

# Bad mailbox, mailbox moved, Office 365's RecipientNotFound (and RFC 7505: this domain takes no mail), mailbox
# disabled. 5.7.x (policy), 5.2.2 (full), 5.1.2 (domain) say nothing about the mailbox, so they never suppress it.
DEAD_ADDRESS = frozenset({"5.1.1", "5.1.6", "5.1.10", "5.2.1"})

# Without an enhanced code only these codes, which RFC 5321 section 4.2.3 reserves for the mailbox, may kill one.
MAILBOX_CODES = frozenset({550, 551, 553})

SHUTTING_DOWN = 421

# Sentences go on over lines, each of which repeats the enhanced code.
LINE_START = re.compile(rf"\n(?:{ENHANCED_CODE.pattern} ?)?")
# Words that are no address match too: looking for addresses alone reads a long word again from each of its letters.
WORD = re.compile(r"<[^<>\s@]*@[^<>\s]*>|[\w.!#$%&'*+/=?^_`{|}~-]+(?:@[\w.-]+)?", re.ASCII)


class Verdict(StrEnum):
    """What to do with the message next."""

    ACCEPTED = "accepted"
    TRY_LATER = "try_later"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Reply:
    """One SMTP reply: its code, and all its lines joined by a newline, without that code."""

    code: int
    text: str

    def __str__(self) -> str:
        """Return the reply on one line, fit for a log or a page."""
        return f"{self.code} {self.text.replace(chr(10), ' ')}".rstrip()

    @property
    def verdict(self) -> Verdict:
        match self.code // 100:
            case 2:
                return Verdict.ACCEPTED
            case 5:
                return Verdict.REFUSED
            case _:
                return Verdict.TRY_LATER

    @property
    def enhanced_code(self) -> str:
        """Return the RFC 3463 code, or an empty string where the server sent none."""
        found = ENHANCED_CODE.match(self.text)
        return found[0] if found else ""

    @property
    def slow_down(self) -> bool:
        """Tell whether the server asks for fewer connections or messages, whatever becomes of this message."""
        return self.code == SHUTTING_DOWN or classify(self) is Failure.RATE

    def encode(self) -> bytes:
        """Return the bytes a server sends; the enhanced code is repeated on each line (RFC 2034 section 4)."""
        if self.text.isprintable():
            return f"{self.code} {self.text}\r\n".encode()
        # A line break that is not ours would be one more reply.
        text = "".join(char if char.isprintable() or char == "\n" else "?" for char in self.text)
        first, *rest = text.split("\n")
        enhanced = self.enhanced_code
        lines = [first, *(line if line.startswith(enhanced) else f"{enhanced} {line}" for line in rest)]
        last = lines.pop()
        return "".join([*(f"{self.code}-{line}\r\n" for line in lines), f"{self.code} {last}\r\n"]).encode()


# RFC 3463 and its IANA registry: "subject.detail", then the subject alone. The class (4 or 5) is looked at apart.
MEANINGS: dict[str, Failure] = {
    "1.1": Failure.NO_MAILBOX,
    "1.6": Failure.NO_MAILBOX,
    "1.10": Failure.NO_MAILBOX,
    "1.2": Failure.INFRASTRUCTURE,  # the domain, not the mailbox
    "1.7": Failure.POLICY,  # our sender address
    "1.8": Failure.POLICY,
    "2.1": Failure.MAILBOX_FULL,
    "2.2": Failure.MAILBOX_FULL,
    "2.3": Failure.CONTENT,  # too long for this mailbox
    "3.4": Failure.CONTENT,  # too big for the system
    "3": Failure.INFRASTRUCTURE,
    "4": Failure.INFRASTRUCTURE,
    "5.3": Failure.RATE,  # too many recipients
    "6": Failure.CONTENT,
    "7": Failure.POLICY,
}
# A 4.7.x asks to come back slower: that is how Gmail, Outlook and Yahoo spell their limits.
TEMPORARY_MEANINGS: dict[str, Failure] = {"3.2": Failure.RATE, "7": Failure.RATE}

# RFC 5321 section 4.2.3; 552 means the mailbox's storage, 554 nothing in particular.
CODE_MEANINGS: dict[int, Failure] = {
    452: Failure.INFRASTRUCTURE,
    500: Failure.INFRASTRUCTURE,
    501: Failure.INFRASTRUCTURE,
    502: Failure.INFRASTRUCTURE,
    503: Failure.INFRASTRUCTURE,
    504: Failure.INFRASTRUCTURE,
    530: Failure.POLICY,
    535: Failure.POLICY,
    552: Failure.MAILBOX_FULL,
    555: Failure.INFRASTRUCTURE,
}


def classify(reply: Reply) -> Failure:
    """Return why a message was not accepted: provider's words first, then RFC 3463, then other words, then the code."""
    words = WORD.sub(_opinion, LINE_START.sub(" ", reply.text))
    return (
        WORDINGS.find(words)
        or _by_enhanced_code(reply)
        or LATER_WORDINGS.find(words)
        or CODE_MEANINGS.get(reply.code)
        or (Failure.TRANSIENT if reply.verdict is Verdict.TRY_LATER else Failure.UNKNOWN)
    )


def _opinion(word: re.Match[str]) -> str:
    """Leave out addresses: a local part such as "spam-reports" is not the server's opinion."""
    return " " if "@" in word[0] else word[0]


def address_is_dead(reply: Reply) -> bool:
    """Tell whether the server itself says for good that this mailbox does not exist or takes no more mail.

    Policy, reputation and rate replies never do, whatever their code: suppressing an address for what is wrong
    with us would lose a reader for ever.
    """
    if reply.verdict is not Verdict.REFUSED:
        return False
    failure = classify(reply)
    if failure not in {Failure.NO_MAILBOX, Failure.MAILBOX_FULL}:
        return False
    if enhanced := reply.enhanced_code:
        return enhanced in DEAD_ADDRESS
    if failure is not Failure.NO_MAILBOX:
        return False
    # Yahoo says 554 for a missing account, in words that leave no doubt.
    return reply.code in MAILBOX_CODES or "delivery error: dd" in reply.text


def _by_enhanced_code(reply: Reply) -> Failure | None:
    found = ENHANCED_CODE.match(reply.text)
    if not found:
        return None
    severity, subject, detail = found.groups()
    exact = f"{subject}.{detail}"
    if severity == "4" and (temporary := TEMPORARY_MEANINGS.get(exact) or TEMPORARY_MEANINGS.get(subject)):
        return temporary
    return MEANINGS.get(exact) or MEANINGS.get(subject)
