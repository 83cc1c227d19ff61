"""A place where a run touches nothing of the user's: a data folder, databases and ports of its own.

Where everything is stands in the settings, and a process reads those once. So the command that was typed only
makes the folder and starts the run inside it as a process of its own; all of it is gone afterwards.
"""

import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import FrameType

from django.conf import settings

from mailpush.places import Places
from mailpush.runtime.processes import dies_with_parent

HOST = "127.0.0.1"
GIVEN = ("MAILPUSH_", "DATABASE_URL", "CELERY_BROKER_URL", "SECRET_KEY")


def run(module: str, *arguments: str, given: Mapping[str, str] | None = None) -> int:
    """Run `python -m module arguments` on a folder of its own, with these settings; return its exit code."""
    signal.signal(signal.SIGTERM, end)
    with tempfile.TemporaryDirectory(prefix="mailpush-run-", ignore_cleanup_errors=True) as folder:
        places = Places(Path(folder).resolve() / "data")
        child = subprocess.Popen(  # noqa: S603 a fixed command
            [sys.executable, "-m", module, *arguments],
            cwd=settings.BASE_DIR,
            env=_environment(places, given or {}),
            preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 nothing else runs in this process
        )
        try:
            return child.wait()
        finally:
            if child.poll() is None:
                child.send_signal(signal.SIGTERM)
                child.wait()
            shutil.rmtree(places.sockets, ignore_errors=True)  # beside the data folder where its path is long


def end(_number: int, _frame: FrameType | None) -> None:
    """Leave on SIGTERM as on Ctrl-C: whoever has started something stops it on the way out."""
    raise KeyboardInterrupt


def free_ports(count: int) -> list[int]:
    """Return ports that nobody listens on; all are held until the last is found, so that they differ."""
    held = [socket.socket() for _ in range(count)]
    try:
        for each in held:
            each.bind((HOST, 0))
        return [each.getsockname()[1] for each in held]
    finally:
        for each in held:
            each.close()


def _environment(places: Places, given: Mapping[str, str]) -> dict[str, str]:
    web, submission, mx = free_ports(3)
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith(GIVEN)},
        "DJANGO_SETTINGS_MODULE": "mailpush.settings",
        "MAILPUSH_DATA_DIR": str(places.data),
        "MAILPUSH_WEB_BIND": f"{HOST}:{web}",
        "MAILPUSH_SUBMISSION_BIND": f"{HOST}:{submission}",
        "MAILPUSH_MX_BIND": f"{HOST}:{mx}",
        **given,
    }
