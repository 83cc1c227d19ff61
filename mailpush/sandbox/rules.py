"""What the sink does, told by how the recipient's local part begins.

| begins with  | what happens                                                                  |
|--------------|-------------------------------------------------------------------------------|
| `bounce`     | 550 5.1.1 at RCPT, or the code after a dash: `bounce-5.2.1@…`                  |
| `full`       | 452 4.2.2 at RCPT                                                              |
| `defer`      | 451 4.7.1 at RCPT until 20 seconds after the first try, then accepted          |
| `spam`       | 554 5.7.1 at the end of DATA                                                   |
| `late`       | accepted; a report that says 5.1.1 (`late-5.2.2@…`: or that) comes back later  |
| `complain`   | accepted; a complaint comes to `fbl@` the sender's domain seconds later        |
| `away`       | accepted; an automatic reply comes back seconds later                          |
| `slow`       | accepted, each answer after 3 seconds                                          |
| `drop`       | the connection breaks at the end of DATA, once; then accepted                  |
| anything else| accepted                                                                      |
"""

import re
from collections import OrderedDict
from enum import StrEnum

from mailpush.mail.replies import Reply

GREYLISTED_FOR = 20.0  # seconds
SLOW_SECONDS = 3.0
REMEMBERED = 100_000  # tries; older ones are forgotten

FULL = Reply(452, "4.2.2 The mailbox is full")
GREYLISTED = Reply(451, "4.7.1 Greylisted, try again in 20 seconds")
SPAM = Reply(554, "5.7.1 The message looks like spam")
CODE = re.compile(r"(?:bounce|late)[-.]([45])\.(\d{1,3})\.(\d{1,3})")


class Fate(StrEnum):
    """What becomes of mail for a recipient."""

    ACCEPT = ""
    BOUNCE = "bounce"
    FULL = "full"
    DEFER = "defer"
    SPAM = "spam"
    LATE = "late"
    COMPLAIN = "complain"
    AWAY = "away"
    SLOW = "slow"
    DROP = "drop"


def fate_of(recipient: str) -> Fate:
    local_part = recipient.lower()
    return next((fate for fate in Fate if fate and local_part.startswith(fate)), Fate.ACCEPT)


def bounce_reply(recipient: str) -> Reply:
    """Return what is said of a mailbox whose mail bounces, at once or later."""
    found = CODE.match(recipient.lower())
    status = ".".join(found.groups()) if found else "5.1.1"
    words = "No such mailbox here" if status.endswith(".1.1") else "Refused as the address asks for"
    return Reply(450 if status.startswith("4") else 550, f"{status} {words}")


class Memory:
    """Who came before, for what depends on it; the oldest are forgotten first."""

    def __init__(self) -> None:
        self._first_tries: OrderedDict[tuple[str, str], float] = OrderedDict()

    def first_try(self, mail_from: str, rcpt_to: str, *, now: float) -> float:
        """Return when this sender first tried this recipient; `now` for the first time."""
        if len(self._first_tries) >= REMEMBERED:
            self._first_tries.popitem(last=False)
        return self._first_tries.setdefault((mail_from, rcpt_to), now)
