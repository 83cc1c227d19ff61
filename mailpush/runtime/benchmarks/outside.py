"""The world around a run: a name server, a receiving server, and how many mails that has taken.

The receiver is Postfix's `smtp-sink` where it is installed, a C program that costs next to nothing; else our own. Both
print a line of counters as mails come in, so that the end of a run is seen at the sink and not taken from the
sender's word.
"""

import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from django.conf import settings

from mailpush.runtime import smartsink
from mailpush.runtime.benchmarks.processes import started, wait_for_doors, wait_for_port
from mailpush.runtime.benchmarks.throwaway import HOST
from mailpush.runtime.parts import MANAGE, Part
from mailpush.runtime.processes import dies_with_parent
from mailpush.runtime.smartsink import servers
from mailpush.sandbox.world import World

CONNECTIONS = 1024
COUNTER = re.compile(rb"([\w.]+)=(\d+)")
ALL = "mesg"  # the counter of all mails
READ = 65536  # bytes
POLL = 0.01
PLACES = ("/usr/sbin", "/usr/libexec/postfix", "/usr/lib/postfix/sbin")  # of servers; not on everybody's path


class TooFew(Exception):
    """The sink has not taken what it should have."""


class Sink:
    """A running sink; `first_at` is when it took the first mail since `expect` was called (`time.perf_counter`)."""

    def __init__(self, process: subprocess.Popen[bytes], name: str) -> None:
        self.name = name
        self.first_at: float | None = None
        self._counts: Counter[str] = Counter()
        self._base: Counter[str] = Counter()
        self._process = process
        threading.Thread(target=self._read, name="sink", daemon=True).start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def taken(self, what: str = ALL) -> int:
        """Return how many mails have come since `expect` was called: all, or those for one domain of our own sink."""
        return self._counts[what] - self._base[what]

    def expect(self) -> None:
        """Count from here."""
        self._base, self.first_at = self._counts, None

    def wait_for(self, count: int, what: str = ALL, *, within: float) -> None:
        """Wait until `count` mails have come since `expect` was called.

        :param within: seconds without any mail until it is given up.
        :raises TooFew: no more are coming.
        """
        seen, moved_at = -1, time.monotonic()
        while (taken := self.taken(what)) < count:
            if taken != seen:
                seen, moved_at = taken, time.monotonic()
            if time.monotonic() - moved_at > within:
                raise TooFew(f"The sink has taken {taken} of {count} mails, and no more are coming.")
            time.sleep(POLL)

    def _read(self) -> None:
        assert self._process.stdout
        rest, output = b"", self._process.stdout.fileno()
        while octets := os.read(output, READ):
            time.sleep(POLL)  # a reader who is woken for each mail would take part in what is measured
            *lines, rest = (rest + octets).replace(b"\r", b"\n").split(b"\n")
            if lines:
                counts = Counter({name.decode(): int(number) for name, number in COUNTER.findall(lines[-1])})
                if self.first_at is None and counts[ALL] > self._base[ALL]:
                    self.first_at = time.perf_counter()
                self._counts = counts


@contextmanager
def world(*, smart: bool = False) -> Iterator[Sink]:
    """Have a name server and a sink, each a process of its own; a smart sink is rude."""
    sandbox = Part("sandbox", (*MANAGE, "run_sandbox", "--discard"))
    with started([sandbox]), (smart_sink if smart else sink_on)(settings.MAILPUSH_MX_PORT) as sink:
        wait_for_doors(["sandbox"])
        yield sink


@contextmanager
def sink_on(port: int) -> Iterator[Sink]:
    """Have a sink that takes everybody's mail, on a port of this machine."""
    if not (path := installed("smtp-sink")):
        with smart_sink(port) as sink:  # it takes everything for domains it does not know
            yield sink
        return
    as_nobody = ("-u", "nobody") if os.geteuid() == 0 else ()
    command = (path, "-c", *as_nobody, f"{HOST}:{port}", str(CONNECTIONS))
    with running(command, port, name="smtp-sink") as sink:
        yield sink


@contextmanager
def smart_sink(port: int) -> Iterator[Sink]:
    """Have the servers of `smartsink`, and the name server tell where they are."""
    servers.publish(World(settings.PLACES.sandbox))
    with running((sys.executable, "-m", smartsink.__name__, str(port)), port, name="our own") as sink:
        yield sink


@contextmanager
def running(command: Sequence[str], port: int, *, name: str) -> Iterator[Sink]:
    """Have a sink that prints counters as `smtp-sink -c` does."""
    process = subprocess.Popen(  # noqa: S603 a fixed command
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


def installed(program: str) -> str:
    """Return where a program is, empty where it is not installed."""
    return shutil.which(program, path=os.pathsep.join((os.environ.get("PATH", ""), *PLACES))) or ""
