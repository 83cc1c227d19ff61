"""SMTP passwords of sender addresses: the rule, good ones made by chance, and a salted digest.

The rule is DirectMail's (ModifyPWByDomain): 10 to 20 characters, at least two each of digits, upper-case
and lower-case letters, and not one character over and over.
"""

import hashlib
import hmac
import secrets
import string
from enum import StrEnum

SHORTEST, LONGEST = 10, 20
OF_EACH_KIND = 2
MADE_LENGTH = 20  # 62 characters to choose from: 119 bits
SALT_BYTES = 16
# Quotes, spaces and the like get lost in configuration files, so chance does not use them.
ALPHABET = string.ascii_letters + string.digits


class Weakness(StrEnum):
    LENGTH = "length"
    CHARACTERS = "characters"  # other than visible ASCII
    DIGITS = "digits"
    UPPER = "upper"
    LOWER = "lower"


def weaknesses(password: str) -> list[Weakness]:
    """Return which parts of the rule the password breaks.

    Two each of three kinds leave no room for one repeated character, so that part needs no test.
    """
    found = []
    if not SHORTEST <= len(password) <= LONGEST:
        found.append(Weakness.LENGTH)
    if not all("!" <= character <= "~" for character in password):
        found.append(Weakness.CHARACTERS)
    kinds = {
        Weakness.DIGITS: string.digits,
        Weakness.UPPER: string.ascii_uppercase,
        Weakness.LOWER: string.ascii_lowercase,
    }
    found += [
        kind for kind, letters in kinds.items() if sum(character in letters for character in password) < OF_EACH_KIND
    ]
    return found


def generate() -> str:
    """Return a password that keeps the rule, made by chance."""
    while True:
        password = "".join(secrets.choice(ALPHABET) for _ in range(MADE_LENGTH))
        if not weaknesses(password):
            return password


def digest(password: str) -> bytes:
    """Return salt and SHA-256 of a password, 48 bytes."""
    salt = secrets.token_bytes(SALT_BYTES)
    return salt + _sha256(salt, password)


def matches(password: str, stored: bytes) -> bool:
    """Return whether `stored` is a digest of the password, in time that tells nothing."""
    return hmac.compare_digest(stored[SALT_BYTES:], _sha256(stored[:SALT_BYTES], password))


def _sha256(salt: bytes, password: str) -> bytes:
    return hashlib.sha256(salt + password.encode("utf-8", "surrogateescape")).digest()
