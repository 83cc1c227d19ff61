"""Commands that run once during the start and must succeed."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from itertools import groupby

from mailpush.runtime.nursery import LONGEST_LINE
from mailpush.runtime.parts import MANAGE
from mailpush.runtime.processes import dies_with_parent

SHOWN_LINES = 15


class StepFailed(Exception):
    """A step of the start failed; its last lines say why."""


async def run_step(write: Callable[[str, str], None], name: str, *options: str) -> list[str]:
    """Run `manage.py NAME OPTIONS`, hand on its log lines (standard error) and return those of its output.

    A process of its own: it can be ended at any time, and leaves no connections behind.
    :raises StepFailed: when it ends with another code than 0.
    """
    process = await asyncio.create_subprocess_exec(
        *MANAGE,
        name,
        *options,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        limit=LONGEST_LINE,
        start_new_session=True,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )
    assert process.stdout
    assert process.stderr
    complaints: list[str] = []
    try:
        output, _ = await asyncio.gather(process.stdout.read(), _hand_on(process.stderr, name, write, complaints))
        await process.wait()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    lines = output.decode(errors="replace").splitlines()
    if process.returncode:
        said = [line for line, _again in groupby(lines + complaints)]
        raise StepFailed("\n".join([f"{name} failed. Its last lines:", *said[-SHOWN_LINES:]]))
    return lines


async def _hand_on(stream: asyncio.StreamReader, name: str, write: Callable[[str, str], None], kept: list[str]) -> None:
    """Write the lines as they come, and keep them."""
    async for line in stream:
        kept.append(line.decode(errors="replace").rstrip())
        write(name, kept[-1])
