"""Processes that a run starts beside itself, and what they use up."""

import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from django.conf import settings

from mailpush.celery import app
from mailpush.runtime import probes
from mailpush.runtime.benchmarks.throwaway import HOST
from mailpush.runtime.embedded import Postgres, Valkey
from mailpush.runtime.parts import Part
from mailpush.runtime.processes import dies_with_parent

STARTS_WITHIN = 60.0  # seconds
POLL = 0.1
SHOWN = 2000  # characters of a log


class NotStarted(Exception):
    """A process ended early or does not answer."""


@contextmanager
def started(parts: Iterable[Part]) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Have processes for the length of the block; their output goes to files in the data folder."""
    running: list[tuple[Part, subprocess.Popen[bytes]]] = []
    try:
        for part in parts:
            running.append((part, _start(part)))  # noqa: PERF401 a later one may fail
        yield [process for _, process in running]
    finally:
        for part, process in running:
            with suppress(ProcessLookupError):
                process.send_signal(part.stop_signal)
        for part, process in running:
            try:
                process.wait(part.patience)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for_doors(names: list[str]) -> None:
    """Wait until the named parts answer on their ports."""
    wait_until(lambda: not probes.missing(names), f"{', '.join(names)} did not open.", names)


def wait_for_port(port: int) -> None:
    """Wait until someone listens on a port of this machine."""

    def is_open() -> bool:
        with socket.socket() as probe:
            return probe.connect_ex((HOST, port)) == 0

    wait_until(is_open, f"Nobody listens on port {port}.", [])


def wait_for_workers(names: list[str]) -> None:
    """Wait until the named Celery workers take work."""

    def are_up() -> bool:
        answers = app.control.ping(timeout=0.5) or ()
        return set(names) <= {host.partition("@")[0] for answer in answers for host in answer}

    wait_until(
        are_up,
        f"The workers {', '.join(names)} did not come up.",
        names,
    )


def cpu_seconds(pids: Iterable[int]) -> float:
    """Return what processes with all their children, living and ended, have used of the processors."""
    total = 0.0
    for pid in pids:
        root = psutil.Process(pid)
        for process in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += sum(process.cpu_times()[:4])  # user, system, and those of ended children
    return total


def memory(pids: Iterable[int]) -> tuple[float, float]:
    """Return MB that the largest process had at its peak (RSS), and has at the moment without what it shares (PSS)."""
    processes = [psutil.Process(pid) for pid in pids]
    if sys.platform != "linux":
        return max(process.memory_info().rss for process in processes) / 2**20, 0.0
    peak = max(_kib(Path(f"/proc/{process.pid}/status"), "VmHWM") for process in processes)
    return peak / 1024, max(process.memory_full_info().pss for process in processes) / 2**20


def _kib(path: Path, name: str) -> int:
    return next(int(line.split()[1]) for line in path.read_text().splitlines() if line.startswith(f"{name}:"))


def database_pids() -> list[int]:
    """Return the embedded PostgreSQL and Valkey."""
    servers = (Postgres(settings.PLACES), Valkey(settings.PLACES))
    return [pid for server in servers if (pid := server.running_pid()) is not None]


def _start(part: Part) -> subprocess.Popen[bytes]:
    with (settings.PLACES.data / f"{part.name}.log").open("ab") as log:
        return subprocess.Popen(  # noqa: S603 a fixed command
            part.command,
            cwd=settings.BASE_DIR,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=dies_with_parent(part.death_signal),  # noqa: PLW1509 no thread holds a lock here
        )


def wait_until(is_so: Callable[[], bool], sentence: str, names: Sequence[str] = ()) -> None:
    end = time.monotonic() + STARTS_WITHIN
    while not is_so():
        if time.monotonic() > end:
            for name in names:
                log = settings.PLACES.data / f"{name}.log"
                sys.stderr.write(log.read_text()[-SHOWN:] if log.exists() else "")
            raise NotStarted(sentence)
        time.sleep(POLL)
