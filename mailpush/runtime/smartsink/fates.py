"""What becomes of a mail, told by the recipient's local part up to its first dash. Pure.

| begins with | what happens                                                                     |
|-------------|----------------------------------------------------------------------------------|
| `later`     | put off at RCPT the first two times (greylisting), then accepted                 |
| `busy`      | put off at the end of DATA the first time, then accepted                         |
| `rate`      | told to slow down the first time, then accepted                                  |
| `drop`      | the connection breaks once: at RCPT, within DATA or at its end; then accepted    |
| `slow`      | accepted, a second after the end of DATA                                         |
| `gone`      | refused at RCPT: no such mailbox                                                 |
| `spam`      | refused at the end of DATA                                                       |
| `full`      | put off at RCPT, whenever it is tried                                            |
| else        | accepted                                                                         |
"""

import zlib
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

SLOW_SECONDS = 1.0


class Fate(StrEnum):
    LATER = "later"
    BUSY = "busy"
    RATE = "rate"
    DROP = "drop"
    SLOW = "slow"
    GONE = "gone"
    SPAM = "spam"
    FULL = "full"
    ACCEPT = "reader"


class Stage(StrEnum):
    """Where in a conversation something happens."""

    RCPT = "rcpt"
    WITHIN_DATA = "within data"
    END = "end"


class Answer(NamedTuple):
    """What a server says; `is_last`: then it closes, and without words it breaks the connection."""

    words: bytes
    after: float = 0.0  # seconds
    is_last: bool = False


OK = Answer(b"250 2.1.0 OK\r\n")
TAKEN = Answer(b"250 2.0.0 Accepted\r\n")
BREAK = Answer(b"", is_last=True)

STAGE_OF = {
    Fate.LATER: Stage.RCPT,
    Fate.RATE: Stage.RCPT,
    Fate.GONE: Stage.RCPT,
    Fate.FULL: Stage.RCPT,
    Fate.BUSY: Stage.END,
    Fate.SPAM: Stage.END,
}
TIMES = {Fate.LATER: 2, Fate.BUSY: 1, Fate.RATE: 1}  # others are said every time
DROPS = (Stage.RCPT, Stage.WITHIN_DATA, Stage.END)

WORDS: Mapping[Fate, str] = {
    Fate.LATER: "451 4.7.1 Greylisted, please try again",
    Fate.BUSY: "450 4.3.2 Too busy to store it now",
    Fate.RATE: "451 4.7.1 Too many messages, slow down",
    Fate.GONE: "550 5.1.1 No such mailbox here",
    Fate.SPAM: "554 5.7.1 The message looks like spam",
    Fate.FULL: "452 4.2.2 The mailbox is full",
}


FATES = {fate.value: fate for fate in Fate}


def fate_of(recipient: str) -> Fate:
    return FATES.get(recipient.partition("-")[0], Fate.ACCEPT)


@dataclass(slots=True)
class Judge:
    """Decides for one server; remembers whom it has put off, and how often."""

    words: Mapping[Fate, str]
    _put_off: Counter[str] = field(default_factory=Counter)

    def at(self, stage: Stage, recipient: str) -> Answer | None:
        """Return what is said to the recipient's mail at this stage; None where it may go on."""
        fate = fate_of(recipient)
        if fate is Fate.ACCEPT:
            return None
        if fate is Fate.DROP:
            own = DROPS[zlib.crc32(recipient.encode()) % len(DROPS)]
            return BREAK if stage is own and self._is_among_first(recipient, 1) else None
        if fate is Fate.SLOW:
            return TAKEN._replace(after=SLOW_SECONDS) if stage is Stage.END else None
        if stage is not STAGE_OF[fate]:
            return None
        if fate in TIMES and not self._is_among_first(recipient, TIMES[fate]):
            return None
        return said(self.words[fate])

    def _is_among_first(self, recipient: str, times: int) -> bool:
        self._put_off[recipient] += 1
        return self._put_off[recipient] <= times


def said(words: str) -> Answer:
    """Return a reply as it is sent; a line break begins another line of it, and after a 421 the server leaves."""
    code, _, text = words.partition(" ")
    *earlier, last = text.split("\n")
    octets = "".join([*(f"{code}-{line}\r\n" for line in earlier), f"{code} {last}\r\n"]).encode()
    return Answer(octets, is_last=code == "421")
