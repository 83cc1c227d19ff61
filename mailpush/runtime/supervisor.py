"""Keeps processes running: starts them, hands on their log lines, restarts what dies, stops all in order."""

import asyncio
import os
import signal
import time
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress

from mailpush.runtime.nursery import LONGEST_LINE, Child, Nursery
from mailpush.runtime.parts import Part
from mailpush.runtime.processes import dies_with_parent, run_as

FIRST_TRIES = 3  # deaths before everything is up, after which a part counts as unable to start
HEALTHY_AFTER = 60.0  # seconds of life after which the back-off starts over
LONGEST_PAUSE = 30.0
KEPT_LINES = 12


class PartFailed(Exception):
    """A part does not come up; its last lines say why."""

    def __init__(self, part: Part, lines: Iterable[str]) -> None:
        super().__init__("\n".join([f"{part.name} could not be started. Its last lines:", *lines]))


class Supervised:
    """One part: the process that is its current life, and the lives to come."""

    def __init__(self, part: Part, write: Callable[[str, str], None], nursery: Nursery) -> None:
        self.part = part
        self.lines: deque[str] = deque(maxlen=KEPT_LINES)
        self.has_come_up = False  # once up, it is restarted for ever
        self._write = write
        self._nursery = nursery
        self._process: asyncio.subprocess.Process | Child | None = None
        self._started_at = 0.0
        self._is_stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def age(self) -> float:
        """Seconds of the current life; 0 between two lives."""
        is_alive = self._process is not None and self._process.returncode is None
        return time.monotonic() - self._started_at if is_alive else 0.0

    def start(self) -> asyncio.Task[None]:
        self._task = asyncio.create_task(self._keep_running(), name=self.part.name)
        return self._task

    async def stop(self) -> None:
        """Ask it to end, and end it when it takes too long; nothing of its process group stays."""
        self._is_stopping.set()
        process = self._process
        if process and process.returncode is None:
            process.send_signal(self.part.stop_signal)
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.shield(process.wait()), self.part.patience)
        self._kill_group()
        if self._task:
            await asyncio.wait([self._task])

    async def _keep_running(self) -> None:
        """:raises PartFailed: when it never comes up."""
        deaths, pause = 0, 1.0
        while not self._is_stopping.is_set():
            code = await self._live()
            if self._is_stopping.is_set():
                return
            lived = time.monotonic() - self._started_at
            deaths += 1
            if deaths >= FIRST_TRIES and not self.has_come_up:
                raise PartFailed(self.part, self.lines)
            pause = 1.0 if lived > HEALTHY_AFTER else pause
            self._write(self.part.name, f"ended ({_how(code)}), starts again in {pause:g} s")
            with suppress(TimeoutError):
                await asyncio.wait_for(self._is_stopping.wait(), pause)
            pause = min(pause * 2, LONGEST_PAUSE)

    async def _live(self) -> int:
        if self.part.prepare:
            await asyncio.to_thread(self.part.prepare)
        self._started_at = time.monotonic()
        self._process = await self._begin()
        reading = asyncio.create_task(self._read_lines(self._process))
        code = await self._process.wait()
        # What a killed process started itself may hold its port, or its data, or our pipe.
        self._kill_group()
        await reading
        return code

    async def _begin(self) -> asyncio.subprocess.Process | Child:
        if self.part.script:
            return await self._nursery.bear(self.part.script, death_signal=self.part.death_signal)
        return await asyncio.create_subprocess_exec(
            *self.part.command,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LONGEST_LINE,
            **run_as(self.part.user),
            start_new_session=True,  # Ctrl-C is ours to hand on, in order
            preexec_fn=dies_with_parent(self.part.death_signal),
        )

    async def _read_lines(self, process: asyncio.subprocess.Process | Child) -> None:
        assert process.stdout
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit: what was read of it is dropped
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            self.lines.append(text)
            self._write(self.part.name, text)

    def _kill_group(self) -> None:
        if self._process:
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self._process.pid, signal.SIGKILL)


class Supervisor:
    """A set of parts that live and end together."""

    def __init__(self, write: Callable[[str, str], None], nursery: Nursery) -> None:
        self._write = write
        self._nursery = nursery
        self._parts: list[Supervised] = []
        # Set when a part cannot be kept running.
        self.failed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def start(self, parts: Iterable[Part]) -> list[Supervised]:
        started = [Supervised(part, self._write, self._nursery) for part in parts]
        self._parts += started
        for part in started:
            part.start().add_done_callback(self._note_failure)
        return started

    def are_settled(self, seconds: float) -> bool:
        """Return whether every part has been alive for that long."""
        return all(part.age >= seconds for part in self._parts)

    def trust(self) -> None:
        """From now on restart parts however often they die."""
        for part in self._parts:
            part.has_come_up = True

    async def stop(self, *, keep: Iterable[Supervised] = ()) -> None:
        """Stop all but `keep`, side by side."""
        kept = list(keep)
        leaving = [part for part in self._parts if part not in kept]
        self._parts = kept
        await asyncio.gather(*(part.stop() for part in leaving))

    def _note_failure(self, task: asyncio.Task[None]) -> None:
        failure = None if task.cancelled() else task.exception()
        if failure and not self.failed.done():
            self.failed.set_exception(failure)


def _how(code: int) -> str:
    return signal.Signals(-code).name if code < 0 else f"exit code {code}"
