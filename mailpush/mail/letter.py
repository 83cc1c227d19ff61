"""A message to one recipient as SMTP has it: its commands, and in which groups a server lets them be written.

RFC 5321, with PIPELINING (2920), CHUNKING (3030), SIZE (1870), 8BITMIME (6152), SMTPUTF8 (6531) and DSN (3461). Pure.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from mailpush.mail.replies import Reply

Offers = Mapping[str, str]  # a server's EHLO keywords with their parameters

# A chunk is sent before the recipient is known to be accepted; past this size a refusal would waste too much.
EAGER_CHUNK = 262_144

# A mailbox as it stands between < and >: nothing that could end the command or add a parameter to it.
MAILBOX = re.compile(
    r'(?:"(?:[^"\\\x00-\x1f\x7f]|\\[^\x00-\x1f\x7f])*"|[^\s<>"\x00-\x1f\x7f]+)(?:@[^\s<>"\x00-\x1f\x7f]+)?'
)
PARAMETER = re.compile(r"[\x21-\x7e]+")


class Step(StrEnum):
    """The step of a transaction that decided it."""

    LOCAL = "local"  # refused by us, without asking the server
    MAIL = "MAIL"
    RCPT = "RCPT"
    DATA = "DATA"
    END_OF_DATA = "end of data"


class Flight(NamedTuple):
    """Steps whose commands are written at once."""

    steps: tuple[Step, ...]
    octets: bytes


ENDING = (Step.END_OF_DATA,)


@dataclass(slots=True)
class Dsn:
    """Wishes about delivery reports (RFC 3461), already in xtext; left out where the server has no DSN."""

    ret: str = ""
    envid: str = ""
    orcpt: str = ""
    notify: str = ""

    def __post_init__(self) -> None:
        values = self.ret + self.envid + self.orcpt + self.notify
        if not (values.isascii() and values.isprintable()) or " " in values:
            raise ValueError(f"{self!r} cannot stand in an SMTP command.")


class Seal(Protocol):
    """Header fields that stand above a message, of `size` bytes; made when it is called, as that takes long."""

    size: int

    def __call__(self) -> bytes: ...


@dataclass(slots=True, eq=False)
class Letter:
    """One message to one recipient; nothing in it can end a command or the message early.

    `mail_from` is empty for the null sender; `data` has CRLF line ends, and dots as they are. The `seal` is asked for
    when the recipient has been accepted. `smtputf8` says that the headers need it; addresses that need it are noticed.

    :raises ValueError: an address or the message cannot be put into SMTP.
    """

    mail_from: str
    rcpt_to: str
    data: bytes
    dsn: Dsn | None = None
    smtputf8: bool = False
    seal: Seal | None = None
    has_good_lines: bool = False  # `check_lines` has been passed before
    may_start_with_dots: bool = True  # lines may

    def __post_init__(self) -> None:
        _check_mailbox(self.mail_from, may_be_empty=True)
        _check_mailbox(self.rcpt_to)
        if not self.has_good_lines:
            check_lines(self.data)
        if not self.data.endswith(b"\r\n"):
            self.data += b"\r\n"
        self.smtputf8 = self.smtputf8 or not (self.mail_from.isascii() and self.rcpt_to.isascii())

    @property
    def size(self) -> int:
        return len(self.data) + (self.seal.size if self.seal else 0)

    @property
    def whole(self) -> bytes:
        """The message with its seal."""
        return self.seal() + self.data if self.seal else self.data

    def refusal(self, offers: Offers) -> Reply | None:
        """Return our own refusal, where the server would have to refuse."""
        if self.smtputf8 and "SMTPUTF8" not in offers:
            return Reply(553, "5.6.7 Not sent: the server takes no addresses or headers beyond ASCII (SMTPUTF8).")
        limit, size = offers.get("SIZE", ""), self.size
        if limit.isdecimal() and 0 < int(limit) < size:
            return Reply(552, f"5.3.4 Not sent: the message has {size} bytes, and the server takes {limit}.")
        return None

    def openings(self, offers: Offers) -> list[Flight]:
        """Return the steps before the message, in groups; each group is one write and one round trip."""
        steps = [(Step.MAIL, self._mail(offers)), (Step.RCPT, self._rcpt(offers))]
        if "CHUNKING" not in offers:
            steps.append((Step.DATA, b"DATA\r\n"))
        elif self._is_eager(offers):
            return []
        if "PIPELINING" in offers:
            return [Flight(tuple(step for step, _ in steps), b"".join([octets for _, octets in steps]))]
        return [Flight((step,), octets) for step, octets in steps]

    def ending(self, offers: Offers) -> Flight:
        """Return the message, and what goes along with it."""
        data = self.whole
        if "CHUNKING" not in offers:
            return Flight(ENDING, (_dot_stuffed(data) if self.may_start_with_dots else data) + b".\r\n")
        chunk = b"BDAT %d LAST\r\n%b" % (len(data), data)
        if self._is_eager(offers):
            return Flight((Step.MAIL, Step.RCPT, *ENDING), self._mail(offers) + self._rcpt(offers) + chunk)
        return Flight(ENDING, chunk)

    def _is_eager(self, offers: Offers) -> bool:
        return "PIPELINING" in offers and self.size <= EAGER_CHUNK

    def _mail(self, offers: Offers) -> bytes:
        command, dsn = f"MAIL FROM:<{self.mail_from}>", self.dsn
        if "SIZE" in offers:
            command += f" SIZE={self.size}"
        # A server without 8BITMIME gets the bytes all the same: every one in use is eight-bit clean.
        if "8BITMIME" in offers and not self.data.isascii():
            command += " BODY=8BITMIME"
        if self.smtputf8:
            command += " SMTPUTF8"
        if dsn and "DSN" in offers:
            command += f" RET={dsn.ret}" if dsn.ret else ""
            command += f" ENVID={dsn.envid}" if dsn.envid else ""
        return f"{command}\r\n".encode()

    def _rcpt(self, offers: Offers) -> bytes:
        command, dsn = f"RCPT TO:<{self.rcpt_to}>", self.dsn
        if dsn and "DSN" in offers:
            command += f" NOTIFY={dsn.notify}" if dsn.notify else ""
            command += f" ORCPT={dsn.orcpt}" if dsn.orcpt else ""
        return f"{command}\r\n".encode()


def check_lines(data: bytes) -> None:
    """Refuse what could end the message early, or be taken for two.

    :raises ValueError: there is a bare CR or LF.
    """
    if not data.count(b"\n") == data.count(b"\r") == data.count(b"\r\n"):
        raise ValueError("The message has a bare CR or LF; only CRLF may end a line.")


def _check_mailbox(address: str, *, may_be_empty: bool = False) -> None:
    if not MAILBOX.fullmatch(address) and not (may_be_empty and not address):
        raise ValueError(f"{address!r} is no mail address.")


def _dot_stuffed(data: bytes) -> bytes:
    """Double each dot that starts a line (RFC 5321 section 4.5.2)."""
    if b"\r\n." in data:
        data = data.replace(b"\r\n.", b"\r\n..")
    return b"." + data if data.startswith(b".") else data
