"""Commands that run once during the start and must succeed."""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import suppress

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
        start_new_session=True,
        preexec_fn=dies_with_parent(signal.SIGKILL),
    )
    try:
        output, errors = await process.communicate()
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    lines, complaints = output.decode(errors="replace").splitlines(), errors.decode(errors="replace").splitlines()
    if process.returncode:
        raise StepFailed("\n".join([f"{name} failed. Its last lines:", *(lines + complaints)[-SHOWN_LINES:]]))
    for line in complaints:
        write(name, line)
    return lines
