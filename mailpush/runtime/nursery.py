"""Forking parts from a process that has everything imported.

Ten processes that each import Django and the apps spend most of a start on it, and hold it in memory ten times.
The nursery is forked from `up` before that has threads, connections or locks; it forks a newborn for every part,
which goes on as if the part's command had been executed, and it reports their ends.
"""

import asyncio
import json
import os
import runpy
import select
import signal
import socket
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from typing import NoReturn

from setproctitle import setproctitle

from mailpush.runtime.processes import SUPERUSER, dies_with_parent

PACKET = 65536  # bytes; a command line is far shorter
LONGEST_LINE = 1024 * 1024


class Newborn(BaseException):
    """Unwinds the nursery's stack in a freshly forked part; `script` is its command line without the interpreter."""

    def __init__(self, script: list[str]) -> None:
        super().__init__()
        self.script = script

    def live(self) -> None:
        """Run the part's program as the main one."""
        warnings.filterwarnings("ignore", SUPERUSER)  # as the interpreter's own option would do
        if self.script[0] == "-m":
            sys.argv = self.script[1:]
            runpy.run_module(self.script[1], run_name="__main__", alter_sys=True)
        else:
            sys.argv = self.script
            runpy.run_path(self.script[0], run_name="__main__")


class Child:
    """A process of the nursery's, with what the supervisor needs of `asyncio.subprocess.Process`."""

    def __init__(self, stdout: asyncio.StreamReader) -> None:
        self.stdout = stdout
        self.pid = 0
        self.returncode: int | None = None
        self.born = asyncio.Event()
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def send_signal(self, number: signal.Signals) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def note_end(self, code: int) -> None:
        self.returncode = code
        self._ended.set()


class Nursery:
    """The line to the nursery, in the process of `up`."""

    def __init__(self) -> None:
        """Fork the nursery; the caller must have no threads and no connections yet.

        :raises Newborn: in the processes forked later, each with what it has to run.
        """
        self._line, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if os.fork() == 0:
            self._line.close()
            _serve(theirs)
        theirs.close()
        self._line.setblocking(False)
        self._children: dict[int, Child] = {}
        self._waiting: list[Child] = []
        self._is_listening = False

    async def bear(self, script: Sequence[str], *, death_signal: signal.Signals) -> Child:
        """Fork a process that runs `script`, with its output on one pipe."""
        loop = asyncio.get_running_loop()
        if not self._is_listening:
            loop.add_reader(self._line, self._listen)
            self._is_listening = True
        read_end, write_end = os.pipe()
        reader = asyncio.StreamReader(limit=LONGEST_LINE)
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), os.fdopen(read_end, "rb"))
        child = Child(reader)
        self._waiting.append(child)
        order = json.dumps({"script": list(script), "death_signal": int(death_signal)}).encode()
        try:
            socket.send_fds(self._line, [order], [write_end])
        finally:
            os.close(write_end)
        await child.born.wait()
        return child

    def _listen(self) -> None:
        """Take the nursery's news: births in the order they were asked for, and deaths."""
        with suppress(BlockingIOError):
            while packet := self._line.recv(PACKET):
                news = json.loads(packet)
                if "code" in news:
                    self._children.pop(news["pid"]).note_end(news["code"])
                    continue
                child = self._waiting.pop(0)
                child.pid = news["pid"]
                self._children[child.pid] = child
                child.born.set()


def _serve(line: socket.socket) -> NoReturn:
    """Fork what is ordered and report what has ended, until `up` is gone.

    :raises Newborn: in every fork.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)  # `up` decides who ends when
    wake_up, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    sources: list[socket.socket | int] = [line, wake_up]
    while True:
        ready, _, _ = select.select(sources, [], [])
        if wake_up in ready:
            os.read(wake_up, 1024)
        _report_ends(line)
        if line in ready:
            packet, fds, _, _ = socket.recv_fds(line, PACKET, 1)
            if not packet:
                os._exit(0)  # the children follow by the signal they asked for
            order = json.loads(packet)
            pid = os.fork()
            if pid == 0:
                for each in (wake_up, wake):
                    os.close(each)
                _be_born(line, fds[0], order)
            os.close(fds[0])
            line.send(json.dumps({"pid": pid}).encode())


def _report_ends(line: socket.socket) -> None:
    with suppress(ChildProcessError):
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return
            with suppress(BrokenPipeError):
                line.send(json.dumps({"pid": pid, "code": os.waitstatus_to_exitcode(status)}).encode())


def _be_born(line: socket.socket, output: int, order: dict[str, object]) -> NoReturn:
    """Become a process of its own: session, signals, standard streams; then leave the nursery's stack."""
    signal.set_wakeup_fd(-1)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGCHLD):
        signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
    line.close()
    os.setsid()  # Ctrl-C is for `up` to hand on, in order
    if ask := dies_with_parent(signal.Signals(int(str(order["death_signal"])))):
        ask()
    nothing = os.open(os.devnull, os.O_RDONLY)
    for source, stream in ((nothing, 0), (output, 1), (output, 2)):
        os.dup2(source, stream)
    os.close(nothing)
    os.close(output)
    script = order["script"]
    assert isinstance(script, list)
    setproctitle(" ".join([sys.executable, *script]))  # as if it had been executed
    raise Newborn(script)
