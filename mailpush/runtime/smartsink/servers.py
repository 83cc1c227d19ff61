"""The servers: providers by their own words, and those that test the sender's patience."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from mailpush.runtime.smartsink.fates import Fate
from mailpush.sandbox.world import World


class Manner(StrEnum):
    """How a server receives whoever knocks."""

    OPEN = "open"
    DEAF = "deaf"  # drops the packets: a connection is never made
    SILENT = "silent"  # lets everybody in and never says a word
    BUSY = "busy"  # 421 to everybody
    GREYLISTING = "greylisting"  # puts off everybody's first two tries


@dataclass(frozen=True, slots=True)
class Server:
    """One mail server and the domain whose mail it takes."""

    domain: str
    address: str
    words: Mapping[Fate, str] = field(default_factory=dict)
    manner: Manner = Manner.OPEN
    round_trip: float = 0.0  # seconds to it and back
    connections: int = 0  # more at a time are answered 421; 0 is no limit
    mails_per_connection: int = 0  # then 421


# Words as these providers send them (their postmaster pages, and replies that senders have published).
QQ = {
    Fate.LATER: "451 Mailbox unavailable or access denied, try later",
    Fate.BUSY: "451 System is busy, please try again later",
    Fate.RATE: "550 Connection frequency limited. https://service.mail.qq.com/detail/122/57",
    Fate.GONE: "550 Mailbox not found. https://service.mail.qq.com/detail/122/166",
    Fate.SPAM: "550 Mail content denied. https://service.mail.qq.com/detail/122/166",
}
NETEASE = {
    Fate.LATER: "450 4.7.1 Requested mail action not taken: greylisted, try again",
    Fate.RATE: "451 MI:CEL 163 smtp7,NsCowACnpQ,http://mail.163.com/help/help_spam_16.htm",
    Fate.GONE: "550 User not found: reader@163.example",
    Fate.SPAM: "554 DT:SPM 163 smtp12,EMCowAAnL,please see http://mail.163.com/help/help_spam_16.htm",
}
GMAIL = {
    Fate.RATE: "421 4.7.28 Gmail has detected an unusual rate of unsolicited mail originating\n"
    "4.7.28 from your IP address. To protect our users from spam, mail sent\n"
    "4.7.28 from your IP address has been temporarily rate limited. - gsmtp",
    Fate.GONE: "550 5.1.1 The email account that you tried to reach does not exist. Please try\n"
    "5.1.1 double-checking the recipient's email address for typos or\n"
    "5.1.1 unnecessary spaces. - gsmtp",
    Fate.SPAM: "550 5.7.1 Our system has detected that this message is likely unsolicited mail. - gsmtp",
    Fate.FULL: "452 4.2.2 The recipient's inbox is out of storage space. - gsmtp",
}
OUTLOOK = {
    Fate.LATER: "451 4.7.500 Please try again later. (S77719)",
    Fate.RATE: "451 4.7.650 The mail server [127.0.0.1] has been temporarily rate limited due to IP reputation. (S775)",
    Fate.GONE: "550 5.5.0 Requested action not taken: mailbox unavailable (S2017062302).",
    Fate.SPAM: "550 5.7.1 Unfortunately, messages from [127.0.0.1] weren't sent. (S3150)",
}
YAHOO = {
    Fate.RATE: "421 4.7.0 [TSS04] Messages from 127.0.0.1 temporarily deferred due to unexpected volume",
    Fate.GONE: "554 delivery error: dd Requested mail action aborted, this user doesn't have a yahoo.com account",
    Fate.SPAM: "554 5.7.9 Message not accepted for policy reasons",
}
ALIYUN = {
    Fate.RATE: "450 4.7.1 SmtpConnFreq too frequent, slow down",
    Fate.GONE: "550 5.1.1 RecipNotFound RCPT TO",
    Fate.SPAM: "554 5.7.1 Reject by content spam at mx1.aliyun.example",
}

PROVIDERS = (
    Server("qq.example", "127.0.0.11", QQ, connections=30, mails_per_connection=20),
    Server("163.example", "127.0.0.12", NETEASE, connections=30, mails_per_connection=20),
    Server("gmail.example", "127.0.0.13", GMAIL, mails_per_connection=50),
    Server("outlook.example", "127.0.0.14", OUTLOOK, mails_per_connection=50),
    Server("yahoo.example", "127.0.0.15", YAHOO, mails_per_connection=20),
    Server("aliyun.example", "127.0.0.16", ALIYUN),
)
ELSEWHERE = Server("", "127.0.0.1")  # every other domain

HEALTHY = Server("healthy.example", "127.0.0.21")
DISTANT = Server("distant.example", "127.0.0.22", round_trip=0.05)
UNPLEASANT = (
    Server("deaf.example", "127.0.0.31", manner=Manner.DEAF),
    Server("mute.example", "127.0.0.32", manner=Manner.SILENT),  # the sandbox's DNS does not answer for `silent…`
    Server("busy.example", "127.0.0.33", manner=Manner.BUSY),
    Server("grey.example", "127.0.0.34", manner=Manner.GREYLISTING),
)
SERVERS = (ELSEWHERE, *PROVIDERS, HEALTHY, DISTANT, *UNPLEASANT)


def publish(world: World) -> None:
    """Tell the sandbox's name server where the servers are."""
    for server in SERVERS:
        if server.domain:
            world.publish(server.domain, "MX", f"10 mx.{server.domain}.")
            world.publish(f"mx.{server.domain}", "A", server.address)
