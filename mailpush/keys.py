"""Secrets made on first start and kept under the data folder, readable by their owner only."""

import os
import secrets
from collections.abc import Callable
from pathlib import Path

from cryptography.fernet import Fernet


def kept_secret_key(path: Path) -> str:
    """Return the key that signs sessions and tokens."""
    return _kept(path, lambda: secrets.token_urlsafe(64))


def kept_encryption_key(path: Path) -> str:
    """Return the key that encrypts recoverable secrets (32 bytes, url-safe base64)."""
    return _kept(path, lambda: Fernet.generate_key().decode())


def _kept(path: Path, make: Callable[[], str]) -> str:
    """Read the file, or make it: written aside and linked, so that two starts at once agree."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}.{secrets.token_hex(4)}")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(make())
        try:
            path.hardlink_to(draft)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    return path.read_text().strip()
