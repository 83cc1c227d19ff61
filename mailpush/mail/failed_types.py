"""DirectMail's words for why a message failed (`failed_type` of its events, `ErrorClassification`)."""

import re

from mailpush.mail.replies import Failure

SENT = "SendOk"
ON_SUPPRESSION_LIST = "SysOutRcptOnAccountLevelBounceList"
COMPLAINED = "SysOutRecipientReportedSpam"
UNSUBSCRIBED = "SysOutRecipientUnsubscribed"
BAD_ADDRESS = "SysOutInvRcpt"

_WORDS: dict[str, str] = {
    Failure.NO_MAILBOX: "SmtpNxBox",
    Failure.MAILBOX_FULL: "SmtpZPermErr",
    Failure.CONTENT: "SmtpContSpam",
    Failure.POLICY: "SmtpMiscSpam",
    Failure.RATE: "SmtpIPFreq",
    Failure.INFRASTRUCTURE: "SmtpZPermErr",
    Failure.TRANSIENT: "SmtpZPermErr",  # given up after every retry
    Failure.UNKNOWN: "SmtpZPermErr",
}
# Within a class, who or what it was about; the first pattern that speaks wins.
_FINER: dict[str, tuple[tuple[str, str], ...]] = {
    Failure.RATE: (
        (r"too many connections|connection (rate|frequency|limit)", "SysOutConnTooMuch"),
        (r"domain frequency", "SmtpMfdFreq"),
        (r"recipient|RP:ORQ|access denied|4\.2\.1|5\.2\.1", "SmtpRcptFreq"),
        (r"(daily|hourly|monthly) |HL:ITC|quota", "SmtpMfLimit"),
        (r"sender|MI:(SFQ|STC)|from this (address|user)", "SmtpMfFreq"),
    ),
    Failure.POLICY: (
        (r"DMARC|MI:DMA", "SmtpDmaFail"),
        (r"\bSPF\b|MI:SPF", "SmtpSpfFail"),
        (r"authenticat|\bDKIM\b", "SmtpAuthFail"),
        (r"blocked using|block-?\s?list|black-?\s?list|\bRBL\b|\bDNSBL\b|spamhaus|DT:RBL|HL:IPB", "SmtpDbl"),
        (r"sender .{0,60}(rejected|denied|not (exist|found|allow))|5\.1\.[78]|MI:IMF", "SmtpMfBad"),
    ),
    Failure.INFRASTRUCTURE: (
        (r"domain (not found|does not exist)|\bDNS\b|5\.1\.2|no (MX|mail server)|null MX", "SysOutDnsResolveFail"),
        (r"^connect|timed? ?out|could not be reached|refused", "SysOutConnError"),
    ),
}


def failed_type(failure: str, words: str = "") -> str:
    """Return DirectMail's word for a class of failure and what the server said; without a class it was sent."""
    if not failure:
        return SENT
    for pattern, word in _FINER.get(failure, ()):
        if re.search(pattern, words, re.IGNORECASE):
            return word
    return _WORDS.get(failure, _WORDS[Failure.UNKNOWN])
