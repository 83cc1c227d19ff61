"""Short signed numbers for places where length and letter case count: local parts, links; and signed texts in links.

A token is hexadecimal, read in any letter case (RFC 5321 2.4: a mail server on the way may change
it). Every key of MAILPUSH_ENCRYPTION_KEYS reads, the first one writes, so tokens outlive a change of
keys for as long as the old key stays in the list.
"""

import binascii
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from datetime import UTC, date, datetime, timedelta
from functools import cache, lru_cache
from hashlib import blake2b, sha256

from django.conf import settings

MAC_BYTES = 10  # 80 bits: guessing one online is out of reach
NUMBER_BYTES = 6
EPOCH = date(2026, 1, 1)

TOKEN_BYTES = NUMBER_BYTES + 2 + MAC_BYTES
TOKEN = f"[0-9a-fA-F]{{{2 * TOKEN_BYTES}}}"  # as a regular expression


class BadToken(Exception):
    """Forged, mangled, or for another purpose."""


class ExpiredToken(BadToken):
    """Genuine, but too old."""


def make(purpose: str, number: int, *, today: date) -> str:
    """Return 36 lower-case letters and digits that name `number` (below 2**48) for `purpose`."""
    body = number.to_bytes(NUMBER_BYTES, "big") + _day(today)
    return (body + _mac(_keys()[0], purpose, body)).hex()


def read(purpose: str, token: str, *, now: datetime | None = None, lasts: timedelta | None = None) -> int:
    """Return the number.

    :raises BadToken: none of our keys made it for this purpose.
    :raises ExpiredToken: it is older than `lasts`.
    """
    try:
        raw = bytes.fromhex(token)
    except ValueError as error:
        raise BadToken(token) from error
    if len(token) != 2 * TOKEN_BYTES:  # fromhex passes over blanks
        raise BadToken(token)
    body, mac = raw[:-MAC_BYTES], raw[-MAC_BYTES:]
    if not any(hmac.compare_digest(mac, _mac(key, purpose, body)) for key in _keys()):
        raise BadToken(token)
    made_on = EPOCH + timedelta(days=int.from_bytes(body[NUMBER_BYTES:], "big"))
    if lasts is not None and (now or datetime.now(UTC)).date() > made_on + lasts:
        raise ExpiredToken(token)
    return int.from_bytes(body[:NUMBER_BYTES], "big")


def seal(purpose: str, content: bytes) -> str:
    """Return the content, signed for `purpose`, in letters, digits, `-` and `_`; letter case counts."""
    return urlsafe_b64encode(_mac(_keys()[0], purpose, content) + content).decode().rstrip("=")


def unseal(purpose: str, sealed: str) -> bytes:
    """Return the content.

    :raises BadToken: none of our keys signed it for this purpose.
    """
    try:
        raw = urlsafe_b64decode(sealed.encode("ascii") + b"=" * (-len(sealed) % 4))
    except (binascii.Error, UnicodeEncodeError) as error:
        raise BadToken(sealed) from error
    mac, content = raw[:MAC_BYTES], raw[MAC_BYTES:]
    if not any(hmac.compare_digest(mac, _mac(key, purpose, content)) for key in _keys()):
        raise BadToken(sealed)
    return content


def _mac(key: bytes, purpose: str, body: bytes) -> bytes:
    """Return the keyed BLAKE2b of the body (RFC 7693 section 2.9), which needs no HMAC around it."""
    mac = _keyed(key, purpose).copy()
    mac.update(body)
    return mac.digest()


@cache
def _keyed(key: bytes, purpose: str) -> blake2b:
    return blake2b(key=key, person=purpose.encode(), digest_size=MAC_BYTES)


@lru_cache(maxsize=64)
def _day(today: date) -> bytes:
    return (today - EPOCH).days.to_bytes(2, "big")


@cache
def _keys() -> tuple[bytes, ...]:
    return tuple(sha256(b"mailpush tokens\0" + key.encode()).digest() for key in settings.MAILPUSH_ENCRYPTION_KEYS)
