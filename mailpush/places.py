"""Where mailpush keeps things on this machine: everything under the data folder."""

import hashlib
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qs, quote, urlsplit

from django.core.exceptions import ImproperlyConfigured

Kept = TypeVar("Kept")

# A Unix socket's path must fit in sockaddr_un: 104 bytes on macOS, 108 on Linux.
LONGEST_SOCKET_PATH = 100


@dataclass(frozen=True, slots=True)
class Places:
    """Paths and addresses that follow from the data folder alone."""

    data: Path

    def kept(self, read: Callable[[Path], Kept], path: Path) -> Kept:
        """Return what `read` finds in a file below the data folder, or makes there.

        :raises ImproperlyConfigured: when the folder cannot be used, by this user or at all.
        """
        try:
            self.data.mkdir(parents=True, exist_ok=True, mode=0o700)
            return read(path)
        except OSError as problem:
            raise ImproperlyConfigured(
                f"The data folder {self.data} cannot be used: {problem.strerror}, {problem.filename}. "
                "Set MAILPUSH_DATA_DIR to a folder that is yours."
            ) from problem

    @property
    def cores(self) -> int:
        return os.cpu_count() or 1

    @property
    def secret_key(self) -> Path:
        return self.data / "keys" / "secret_key"

    @property
    def encryption_key(self) -> Path:
        return self.data / "keys" / "encryption_key"

    @property
    def demo_logins(self) -> Path:
        return self.data / "keys" / "demo_logins.json"

    @property
    def tls(self) -> Path:
        """The operator's certificate for the SMTP doors, as certbot lays it out."""
        return self.data / "tls"

    @property
    def static(self) -> Path:
        return self.data / "static"

    @property
    def files(self) -> Path:
        return self.data / "files"

    @property
    def postgres(self) -> Path:
        return self.data / "postgres"

    @property
    def valkey(self) -> Path:
        return self.data / "valkey"

    @property
    def sandbox(self) -> Path:
        return self.data / "sandbox.sqlite3"

    @property
    def sandbox_ports(self) -> Path:
        return self.data / "sandbox.json"

    @property
    def locks(self) -> Path:
        return self.data / "locks"

    @property
    def sockets(self) -> Path:
        """The folder of the embedded databases' sockets: a short one where the data folder's path is too long."""
        folder = self.data / "run"
        if len(str(folder / "postgres" / ".s.PGSQL.5432")) <= LONGEST_SOCKET_PATH:
            return folder
        name = hashlib.sha256(str(self.data).encode()).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"mailpush-{name}"

    @property
    def postgres_url(self) -> str:
        return f"postgres://postgres@/mailpush?host={quote(str(self.sockets / 'postgres'))}"

    @property
    def valkey_url(self) -> str:
        return f"unix://{quote(str(self.sockets / 'valkey.sock'))}"

    def file_storage(self, url: str) -> dict[str, Any]:
        """Return Django's storage entry: the data folder, or `s3://bucket?endpoint=…&region=…`."""
        if not url:
            return {
                "BACKEND": "django.core.files.storage.FileSystemStorage",
                "OPTIONS": {"location": str(self.files), "file_permissions_mode": 0o600},
            }
        parts = urlsplit(url)
        query = {name: values[-1] for name, values in parse_qs(parts.query).items()}
        options = {
            "bucket_name": parts.netloc.rpartition("@")[2],
            "location": parts.path.strip("/"),
            "endpoint_url": query.get("endpoint"),
            "region_name": query.get("region"),
            "access_key": parts.username,
            "secret_key": parts.password,
            "default_acl": None,
            "file_overwrite": False,
        }
        return {
            "BACKEND": "storages.backends.s3.S3Storage",
            "OPTIONS": {name: value for name, value in options.items() if value or name == "default_acl"},
        }
