"""What a receiving mail server said, and what that means for the message.

The first digit is RFC 5321 section 4.2.1, the enhanced code RFC 3463; the words decide where providers use a
code for something else. Pure: no retry policy, no suppression, only the reading.
"""

import re
from dataclasses import dataclass
from enum import StrEnum

import re2

ENHANCED_CODE = re.compile(r"([245])\.(\d{1,3})\.(\d{1,3})(?!\d)")

# Bad mailbox, mailbox moved, Office 365's RecipientNotFound (and RFC 7505: this domain takes no mail), mailbox
# disabled. 5.7.x (policy), 5.2.2 (full), 5.1.2 (domain) say nothing about the mailbox, so they never suppress it.
DEAD_ADDRESS = frozenset({"5.1.1", "5.1.6", "5.1.10", "5.2.1"})

# Without an enhanced code only these codes, which RFC 5321 section 4.2.3 reserves for the mailbox, may kill one.
MAILBOX_CODES = frozenset({550, 551, 553})

SHUTTING_DOWN = 421

# Sentences go on over lines, each of which repeats the enhanced code.
LINE_START = re.compile(rf"\n(?:{ENHANCED_CODE.pattern} ?)?")
ADDRESS = re.compile(r"<[^<>\s]*@[^<>\s]*>|[^\s<>]+@[^\s<>]+")


class Verdict(StrEnum):
    """What to do with the message next."""

    ACCEPTED = "accepted"
    TRY_LATER = "try_later"
    REFUSED = "refused"


class Failure(StrEnum):
    """Why a message was not accepted, as far as the server lets us know."""

    NO_MAILBOX = "no_mailbox"
    MAILBOX_FULL = "mailbox_full"  # full or disabled: exists, but takes nothing
    POLICY = "policy"  # spam, reputation, authentication, a rule of theirs
    RATE = "rate"  # slow down
    CONTENT = "content"  # this message: virus, size, malformed
    INFRASTRUCTURE = "infrastructure"  # their routing, storage or protocol, or ours
    TRANSIENT = "transient"  # greylisting and other "come back later"
    UNKNOWN = "unknown"


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


# Words are read in this order, and the first rule that speaks wins. Whoever tells us to slow down, or that we are
# not welcome, says nothing about the mailbox; so those rules stand before the ones that could condemn it.
# Where a wording belongs to one provider, the comment names it.
_WORDINGS: tuple[tuple[Failure, str], ...] = (
    # Greylisting is a wish for patience with one message, not for less of them.
    (Failure.TRANSIENT, r"gr[ea]y-?\s?list"),
    (Failure.INFRASTRUCTURE, r"too many hops|mail loop|routing loop"),
    (Failure.RATE, r"frequency limited"),  # QQ: 550 (Sender|Ip|Connection|Domain) frequency limited
    (Failure.RATE, r"mailbox unavailable or access denied"),  # QQ: this recipient gets too many at the moment
    # 163/126: too many from an address, over a connection, in an hour, in a day
    (Failure.RATE, r"\b(HL:I[CFT]C|(MI|RP):(DMC|SFQ|STC|DRC|CCL|CEL|QRC|ORQ|TRC))\b"),
    (Failure.RATE, r"\[(TSS?|IPTS)0\d\]|deferred due to (user complaints|unexpected volume)"),  # Yahoo
    (Failure.RATE, r"unusual rate|rate that prevents"),  # Gmail: 4.7.28, and 5.2.1 for one busy recipient
    (Failure.RATE, r"over rate limit|exceeded the rate limit|server busy.*AS\(|RP-00[12]\b"),  # Outlook
    (Failure.RATE, r"too (many|much|fast|frequent)|(rate|sending|connection|hourly|daily)[ -]?(limit|quota)"),
    (Failure.RATE, r"throttl|slow down|rate.?limit|exceed\w* .{0,30}(connections|rate|frequency)|\bSmtp\w+Freq\b"),
    (Failure.CONTENT, r"mail content denied"),  # QQ
    (Failure.CONTENT, r"illegal attachment|\bDT:SUM\b"),  # 163/126
    (Failure.CONTENT, r"virus|malware|phish(ing)? (link|url)|blocked attachment|SmtpContSpam"),
    (Failure.CONTENT, r"message .{0,20}(too (big|large)|exceeds? .{0,30}size)|size (limit )?exceed|mail ?size limit"),
    (Failure.CONTENT, r"not RFC 5?[38]22 compliant|(missing|invalid|multiple) .{0,20}(from|message-id|date)\W? header"),
    (Failure.POLICY, r"suspected spam|mail is rejected by recipients"),  # QQ: the recipient's own filter
    # 163/126: spam, block lists, addresses that are not allowed, sender authentication
    (Failure.POLICY, r"\b(DT:(SPM|RBL)|HL:(REP|MEP|IPB|IHU)|WM:BL[IU]|MI:(SPF|DMA|NHD|IMF|SPB|FCL))\b"),
    (Failure.POLICY, r"client host rejected|(sina|mx)\S* .{0,40}reject(ed)? by (content )?spam"),  # Sina, Aliyun
    (Failure.POLICY, r"S3140|S3150|AS\(\d+\)|blocked using|banned sending IP"),  # Outlook
    (Failure.POLICY, r"spam|junk|black-?\s?list|block-?\s?list|\bRBL\b|\bDNSBL\b|reputation|unsolicited|abuse"),
    (Failure.POLICY, r"\bSPF\b|\bDKIM\b|\bDMARC\b|reverse DNS|\bPTR\b|unauthenticated|authentication required"),
    (
        Failure.POLICY,
        r"polic(y|ies)|not authori[sz]ed|access denied|prohibited|blocked|banned|relay(ing)? (access )?denied",
    ),
    (Failure.POLICY, r"unable to relay|relay not permitted|sender .{0,60}(rejected|denied|not (exist|found|allow))"),
)
_LATER_WORDINGS: tuple[tuple[Failure, str], ...] = (
    (Failure.MAILBOX_FULL, r"(mailbox|user|account|recipient|quota)\W.{0,30}(is )?(full|over ?quota|exceeded)"),
    (
        Failure.MAILBOX_FULL,
        r"out of (storage|space)|over ?quota|storage (space )?exceed|exceeded .{0,30}(quota|storage)",
    ),
    # 163/126 and Sina: "User suspended", "User is locked"
    (Failure.MAILBOX_FULL, r"(mailbox|user|account)\W.{0,40}(disabled|inactive|suspend|locked|frozen|deactivat)"),
    (Failure.NO_MAILBOX, r"(doesn't|does not) have an? \S+ account|not a valid recipient"),  # Yahoo, with 554
    (Failure.NO_MAILBOX, r"S2017062302"),  # Outlook: 5.5.0 mailbox unavailable
    (Failure.NO_MAILBOX, r"recip(ient)? ?not ?found|\bRecipNotFound\b"),  # Exchange
    (
        Failure.NO_MAILBOX,
        r"(user|mailbox|recipient|account|address)\b.{0,60}(not (exist|found|known)|n't exist|unknown|no longer)",
    ),
    (
        Failure.NO_MAILBOX,
        r"(no such|unknown|invalid|non-?existent|no) .{0,20}(user|mailbox|recipient|account|address|local.?part)\b",
    ),
    (Failure.NO_MAILBOX, r"no mailbox here|email account that you tried to reach does not exist"),
    (Failure.INFRASTRUCTURE, r"(domain|host) (not found|does not exist)|DNS|routing|loop|timed? ?out|mx record"),
)


class Wordings:
    """Rules in their order, looked for all at once: one by one they cost a worker tenths of a millisecond."""

    def __init__(self, rules: tuple[tuple[Failure, str], ...]) -> None:
        options = re2.Options()
        options.case_sensitive = False
        options.dot_nl = True
        self._failures = [failure for failure, _words in rules]
        self._patterns = re2.Set.SearchSet(options)
        for _failure, words in rules:
            self._patterns.Add(words)
        self._patterns.Compile()

    def find(self, words: str) -> Failure | None:
        found = self._patterns.Match(words.encode("utf-8", "replace"))
        return self._failures[min(found)] if found else None


WORDINGS = Wordings(_WORDINGS)
LATER_WORDINGS = Wordings(_LATER_WORDINGS)

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
    words = LINE_START.sub(" ", reply.text)
    words = ADDRESS.sub(" ", words)  # a local part such as "spam-reports" is not the server's opinion
    return (
        WORDINGS.find(words)
        or _by_enhanced_code(reply)
        or LATER_WORDINGS.find(words)
        or CODE_MEANINGS.get(reply.code)
        or (Failure.TRANSIENT if reply.verdict is Verdict.TRY_LATER else Failure.UNKNOWN)
    )


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
