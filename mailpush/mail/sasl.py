"""The two ways to log in that every mail program knows: PLAIN (RFC 4616) and LOGIN, inside AUTH (RFC 4954)."""

import base64
import binascii
from collections.abc import Awaitable, Callable

from mailpush.mail.envelope import BadCommand

Challenge = Callable[[str], Awaitable[str]]

USERNAME = base64.b64encode(b"Username:").decode()
PASSWORD = base64.b64encode(b"Password:").decode()


async def read_plain(initial: str, challenge: Challenge) -> tuple[str, str]:
    """Return user and password.

    :param initial: what came with the AUTH command; empty where the client waits to be asked.
    :raises BadCommand: the client gave up, or sent what cannot be read.
    """
    parts = _decoded(initial or await challenge("")).split("\0")
    if len(parts) != 3:  # noqa: PLR2004 whom to act for, name, password
        raise BadCommand(501, "5.5.2 The login could not be read; send base64 of NUL, name, NUL, password")
    acts_for, user, password = parts
    if acts_for not in {"", user}:
        raise BadCommand(535, "5.7.8 Nobody may act for somebody else here; leave the first part empty")
    return _complete(user, password)


async def read_login(initial: str, challenge: Challenge) -> tuple[str, str]:
    """Return user and password, each asked for in turn.

    :raises BadCommand: the client gave up, or sent what cannot be read.
    """
    user = _decoded(initial or await challenge(USERNAME))
    return _complete(user, _decoded(await challenge(PASSWORD)))


def _decoded(line: str) -> str:
    if line == "*":
        raise BadCommand(501, "5.7.0 Login given up")
    if line == "=":  # RFC 4954 section 4: an empty initial response
        return ""
    try:
        return base64.b64decode(line, validate=True).decode()
    except (binascii.Error, ValueError):
        raise BadCommand(501, "5.5.2 The login is not base64 of UTF-8 text") from None


def _complete(user: str, password: str) -> tuple[str, str]:
    if not user or not password:
        raise BadCommand(535, "5.7.8 Name or password is empty; enter both")
    return user, password
