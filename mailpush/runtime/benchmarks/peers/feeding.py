"""Servers that take mail over SMTP and pass it on: started, and fed by Postfix's `smtp-source`."""

import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from mailpush.runtime.benchmarks.outside import installed
from mailpush.runtime.benchmarks.peers.peer import WITHIN, Job, Unable
from mailpush.runtime.benchmarks.throwaway import HOST
from mailpush.runtime.processes import dies_with_parent

SESSIONS = 20  # at a time
WARM_UP = 50  # mails
SOURCE_TAKES = 300.0  # seconds at most


def feed(job: Job, port: int, mails: int) -> None:
    """Submit the mail so many times and wait until the sink has them all."""
    finished = job.folder / "mail.eml"
    finished.write_bytes(job.mail.replace(b"\r\n", b"\n"))
    command = (program("smtp-source"), "-d", "-N", "-s", str(SESSIONS), "-m", str(mails), "-F", str(finished))
    whom = ("-f", job.sender, "-t", "reader@north.example")
    job.sink.expect()
    subprocess.run([*command, *whom, f"{HOST}:{port}"], check=True, capture_output=True, timeout=SOURCE_TAKES)  # noqa: S603
    job.sink.wait_for(mails, within=WITHIN)


@contextmanager
def server(command: list[str], folder: Path, wait: Callable[[], None]) -> Iterator[None]:
    """Have a server until the end of the block; `wait` returns when it is up."""
    with (folder / "output.log").open("ab") as log:
        process = subprocess.Popen(  # noqa: S603 a fixed command
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 no thread holds a lock here
        )
    try:
        wait()
        yield
    finally:
        # The whole group: what is called node may be a script that starts Node.
        for how in (signal.SIGTERM, signal.SIGKILL):
            with suppress(ProcessLookupError):
                os.killpg(process.pid, how)
            with suppress(subprocess.TimeoutExpired):
                process.wait(WITHIN)


def program(name: str) -> str:
    """:raises Unable: the program is not installed."""
    if not (path := installed(name)):
        raise Unable(f"{name} is not installed")
    return path
