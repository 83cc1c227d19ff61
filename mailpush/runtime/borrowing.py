"""Have the embedded servers while a command works: those of `up`, or ones started for it.

Commands at work side by side share one set, and the last to leave stops it. `up` has them for itself.
"""

import os
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress

from django.conf import settings

from mailpush.places import Places
from mailpush.runtime.embedded import Postgres, Server, ServerFailed, Valkey
from mailpush.runtime.locks import FileLock, Locked, locked
from mailpush.runtime.processes import run_as

STARTS_WITHIN = 60.0  # seconds; recovery after a crash included
STOPS_WITHIN = 30.0
POLL = 0.05


def configured() -> list[Server]:
    """Return the embedded servers that the settings ask for."""
    servers: list[Server] = []
    if settings.EMBEDDED_POSTGRES:
        servers.append(Postgres(settings.PLACES))
    if settings.EMBEDDED_VALKEY:
        servers.append(Valkey(settings.PLACES))
    return servers


@contextmanager
def running(servers: Sequence[Server], places: Places) -> Iterator[None]:
    """Have `servers` for the length of the block.

    :raises ServerFailed: when one cannot be started.
    """
    if not servers:
        yield
        return
    users = FileLock(places.locks / "users")
    try:
        with locked(places.locks / "gate", patience=STARTS_WITHIN):
            is_ours = _join(users, servers, places)
        if not is_ours:
            for server in servers:
                wait_until_ready(server)
        try:
            yield
        finally:
            if is_ours:
                _leave(users, servers, places)
    finally:
        users.close()


def start(server: Server, places: Places) -> subprocess.Popen[bytes]:
    """Start a server apart from our terminal: it may outlive this command for the sake of another."""
    server.prepare()
    with (places.data / f"{server.name}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 a fixed command
            server.command,
            cwd="/",
            **run_as(server.user),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def stop(server: Server) -> None:
    """Stop a server that runs on the data folder, whoever started it.

    :raises ServerFailed: when it does not end.
    """
    pid = server.running_pid()
    if pid is None:
        return
    with suppress(ProcessLookupError):
        os.kill(pid, server.stop_signal)
    end = time.monotonic() + STOPS_WITHIN
    while server.running_pid() == pid:
        if time.monotonic() > end:
            raise ServerFailed(f"{server.name} (process {pid}) did not stop.")
        time.sleep(POLL)


def wait_until_ready(server: Server, process: subprocess.Popen[bytes] | None = None) -> None:
    """Wait for the server's first answer.

    :raises ServerFailed: when it ended instead, or took too long.
    """
    end = time.monotonic() + STARTS_WITHIN
    while not server.is_ready():
        if time.monotonic() > end or (process and process.poll() is not None):
            raise ServerFailed(f"{server.name} did not start; its log is in the data folder.")
        time.sleep(POLL)


def _join(users: FileLock, servers: Sequence[Server], places: Places) -> bool:
    """Be one of those who share the servers; False where `up` has them for itself."""
    try:
        users.take(shared=True)
    except Locked:
        return False
    started: list[tuple[Server, subprocess.Popen[bytes]]] = []
    try:
        for server in [each for each in servers if not each.is_ready()]:
            started.append((server, start(server, places)))  # noqa: PERF401 what follows may fail half-way
        for server, process in started:
            wait_until_ready(server, process)
    except ServerFailed:
        for server, process in started:
            process.send_signal(server.stop_signal)
            process.wait()
        raise
    return True


def _leave(users: FileLock, servers: Sequence[Server], places: Places) -> None:
    with locked(places.locks / "gate", patience=STARTS_WITHIN):
        try:
            users.take()
        except Locked:
            return  # another command still works with them
        for server in servers:
            stop(server)
