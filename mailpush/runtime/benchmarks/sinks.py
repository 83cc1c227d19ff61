"""The receiving server of a run, and how many mails it has taken.

Postfix's `smtp-sink` where it is installed, a C program that costs next to nothing; else our own. Both print a line
of counters as mails come in, so that the end of a run is seen at the sink and not taken from the sender's word.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from mailpush.runtime.benchmarks.processes import wait_for_port
from mailpush.runtime.benchmarks.throwaway import HOST
from mailpush.runtime.processes import dies_with_parent

CONNECTIONS = 1024
COUNTER = re.compile(rb"mesg=(\d+)\s")
READ = 65536  # bytes
KEPT = 64  # bytes; a line is shorter
POLL = 0.01
PLACES = ("/usr/sbin", "/usr/libexec/postfix", "/usr/lib/postfix/sbin")  # of servers; not on everybody's path


class TooFew(Exception):
    """The sink has not taken what it should have."""


class Sink:
    """A running sink; `first_at` is when it took the first mail since `expect` was called (`time.perf_counter`)."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self.name = name
        self.mails = 0
        self.first_at: float | None = None
        self._process = process
        self._base = 0
        threading.Thread(target=self._read, name="sink", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def taken(self) -> int:
        """How many mails since `expect` was called."""
        return self.mails - self._base

    def expect(self) -> None:
        """Count from here."""
        self._base, self.first_at = self.mails, None

    def wait_for(self, count: int, *, within: float) -> None:
        """Wait until `count` mails have come since `expect` was called.

        :param within: seconds without any mail until it is given up.
        :raises TooFew: no more are coming.
        """
        seen, moved_at = -1, time.monotonic()
        while self.taken < count:
            if self.taken != seen:
                seen, moved_at = self.taken, time.monotonic()
            if time.monotonic() - moved_at > within:
                raise TooFew(f"The sink has taken {self.taken} of {count} mails, and no more are coming.")
            time.sleep(POLL)

    def _read(self) -> None:
        assert self._process.stdout
        rest, output = b"", self._process.stdout.fileno()
        while octets := os.read(output, READ):
            rest += octets
            found = COUNTER.findall(rest)
            rest = rest[-KEPT:]
            if found and (mails := int(found[-1])) > self.mails:
                self.mails = mails
                if self.first_at is None:
                    self.first_at = time.perf_counter()


@contextmanager
def sink_on(port: int) -> Iterator[Sink]:
    """Have a sink for everybody's mail on a port of this machine."""
    if path := smtp_sink():
        as_nobody = ("-u", "nobody") if os.geteuid() == 0 else ()
        command: Sequence[str] = (path, "-c", *as_nobody, f"{HOST}:{port}", str(CONNECTIONS))
    else:
        command = (sys.executable, "-m", "mailpush.runtime.smartsink", str(port))
    with running(command, port, name="smtp-sink" if path else "our own") as sink:
        yield sink


@contextmanager
def running(command: Sequence[str], port: int, *, name: str) -> Iterator[Sink]:
    """Have a sink that prints counters as `smtp-sink -c` does."""
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        preexec_fn=dies_with_parent(signal.SIGKILL),  # noqa: PLW1509 no thread holds a lock here
    )
    try:
        wait_for_port(port)
        yield Sink(process, name)
    finally:
        process.kill()
        process.wait()


def smtp_sink() -> str:
    """Return the path of Postfix's sink, empty where it is not installed."""
    return installed("smtp-sink")


def installed(program: str) -> str:
    """Return where a program is, empty where it is not installed."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES))) or ""
