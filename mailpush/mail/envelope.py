"""The envelope of a message at a server's door, and the reading of MAIL and RCPT (RFC 5321 section 4.1.1)."""

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from mailpush.mail.replies import Reply

Params = dict[str, str]

MAX_PATH = 1024  # RFC 5321 asks for 256; addresses in SMTPUTF8 take more bytes

# <path> or <>, then parameters. A space after the colon is wrong (section 3.3) but common enough to be let through.
# The route "<@a,@b:user@c>" is to be accepted and ignored (appendix C).
ARGUMENT = re.compile(
    r"""\ ?<(?:@[^\s:<>"]+:)?
    (?P<path>(?:"(?:[^"\\\x00-\x1f\x7f]|\\[\x20-\x7e])*"|[^\s<>@"\x00-\x1f\x7f]+)(?:@[^\s<>@"\x00-\x1f\x7f]+)?)?
    >(?P<params>(?:\ +[^\s]+)*)\ *""",
    re.VERBOSE,
)
PARAM = re.compile(r"(?P<key>[A-Za-z0-9][A-Za-z0-9-]*)(?:=(?P<value>[\x21-\x3c\x3e-\x7e]+))?")
XTEXT = re.compile(r"(?:[\x21-\x2a\x2c-\x3c\x3e-\x7e]|\+[0-9A-F]{2})+")


class BadCommand(Exception):
    """The command cannot be obeyed; `reply` says why."""

    def __init__(self, code: int, text: str) -> None:
        super().__init__(text)
        self.reply = Reply(code, text)


@dataclass(frozen=True, slots=True)
class Recipient:
    """One accepted RCPT."""

    address: str
    params: Params


@dataclass(slots=True)
class Envelope:
    """What MAIL and RCPT said; an empty `mail_from` is the null sender of bounces."""

    mail_from: str
    params: Params
    rcpts: list[Recipient] = field(default_factory=list)
    note: Any = None  # the door's own, kept from RCPT to DATA

    @property
    def is_utf8(self) -> bool:
        """Tell whether addresses and headers may go beyond ASCII (RFC 6531)."""
        return "SMTPUTF8" in self.params


def _is_notify(value: str) -> bool:
    wishes = value.upper().split(",")
    return wishes == ["NEVER"] or (set(wishes) <= {"SUCCESS", "FAILURE", "DELAY"} and len(set(wishes)) == len(wishes))


def _is_orcpt(value: str) -> bool:
    kind, _, address = value.partition(";")
    return bool(kind) and (XTEXT.fullmatch(address) is not None or kind.lower() == "utf-8")


Checks = dict[str, Callable[[str], bool]]

MAIL_PARAMS: Checks = {
    "SIZE": lambda value: value.isdecimal() and len(value) <= 20,  # noqa: PLR2004 RFC 1870 section 3
    "BODY": lambda value: value.upper() in {"7BIT", "8BITMIME"},
    "SMTPUTF8": lambda value: not value,
    "RET": lambda value: value.upper() in {"FULL", "HDRS"},
    "ENVID": lambda value: XTEXT.fullmatch(value) is not None and len(value) <= 100,  # noqa: PLR2004 RFC 3461 section 4.4
    "AUTH": lambda value: value == "<>" or XTEXT.fullmatch(value) is not None,
}
RCPT_PARAMS: Checks = {"NOTIFY": _is_notify, "ORCPT": _is_orcpt}


def read_mail(argument: str) -> tuple[str, Params]:
    """Return sender and parameters of the text behind "MAIL".

    :raises BadCommand: it is not "FROM:<address>" and known parameters.
    """
    path, params = _read(argument, "FROM:", MAIL_PARAMS)
    _refuse_beyond_ascii(path, is_utf8="SMTPUTF8" in params)
    if path and "@" not in path:
        raise BadCommand(501, f"5.1.7 {path} is not a full address; write MAIL FROM:<you@your-domain>")
    return path, params


def read_rcpt(argument: str, *, is_utf8: bool) -> tuple[str, Params]:
    """Return recipient and parameters of the text behind "RCPT"; "postmaster" may stand without a domain.

    :raises BadCommand: it is not "TO:<address>" and known parameters.
    """
    path, params = _read(argument, "TO:", RCPT_PARAMS)
    _refuse_beyond_ascii(path, is_utf8=is_utf8)
    if "@" not in path and path.lower() != "postmaster":
        raise BadCommand(501, "5.1.3 That is not a full address; write RCPT TO:<someone@their-domain>")
    return path, params


def _read(argument: str, keyword: str, known: Checks) -> tuple[str, Params]:
    verb = "MAIL" if keyword == "FROM:" else "RCPT"
    found = ARGUMENT.fullmatch(argument[len(keyword) :])
    if argument[: len(keyword)].upper() != keyword or not found:
        raise BadCommand(501, f"5.5.4 The address could not be read; write {verb} {keyword}<name@domain>")
    path = found["path"] or ""
    if len(path) > MAX_PATH:
        raise BadCommand(501, "5.1.3 The address is too long; no mailbox has such a name")
    return path, _read_params(found["params"].split(), known)


def _read_params(words: list[str], known: Checks) -> Params:
    params: Params = {}
    for word in words:
        found = PARAM.fullmatch(word) if word.isascii() else None
        key = found["key"].upper() if found else ""
        value = (found["value"] or "") if found else ""
        # ORCPT of RFC 6533 may be UTF-8; the pattern above holds for all the others.
        if not found and word.upper().startswith("ORCPT=UTF-8;"):
            key, value = "ORCPT", word[6:]
        if key not in known:
            raise BadCommand(555, f"5.5.4 Parameter {key or word!r} is not known here; leave it out")
        if key in params or not known[key](value):
            raise BadCommand(501, f"5.5.4 Parameter {key} is given twice or with a value it cannot have")
        params[key] = value
    return params


def _refuse_beyond_ascii(path: str, *, is_utf8: bool) -> None:
    if not path.isascii() and not is_utf8:
        raise BadCommand(553, "5.6.7 The address is not ASCII; add SMTPUTF8 to the MAIL command")
