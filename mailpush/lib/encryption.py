"""Encryption at rest of secrets that must be read again (HMAC keys, DKIM private keys)."""

from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings


class NotReadable(Exception):
    """The value was encrypted with a key that is no longer configured."""


@cache
def _cipher() -> MultiFernet:
    return MultiFernet([Fernet(key) for key in settings.MAILPUSH_ENCRYPTION_KEYS])


def encrypt(plain: str) -> str:
    """Return the text encrypted with the first of MAILPUSH_ENCRYPTION_KEYS."""
    return _cipher().encrypt(plain.encode()).decode()


def decrypt(stored: str) -> str:
    """Return the plain text.

    :raises NotReadable: none of the configured keys fits.
    """
    try:
        return _cipher().decrypt(stored.encode()).decode()
    except InvalidToken as error:
        raise NotReadable("None of MAILPUSH_ENCRYPTION_KEYS reads this value.") from error
