"""`up` as a process of its own, on a data folder and ports of its own."""

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest
from django.conf import settings

from mailpush.runtime.processes import dies_with_parent
from tests.ports import free_port

COMES_UP_WITHIN = 110  # seconds; the first start installs packages and makes the databases


class Up:
    """One run of `manage.py up`."""

    def __init__(self, data, ports):
        self.data = data
        self.web_port = ports[0]
        self.log = data.with_suffix(".log")
        self.environment = {
            **os.environ,
            "MAILPUSH_DATA_DIR": str(data),
            "MAILPUSH_WEB_BIND": f"127.0.0.1:{ports[0]}",
            "MAILPUSH_SUBMISSION_BIND": f"127.0.0.1:{ports[1]}",
            "MAILPUSH_MX_BIND": f"127.0.0.1:{ports[2]}",
            "MAILPUSH_WORKERS": "1",
        }

    def start(self):
        with self.log.open("ab") as log:
            seen = log.tell()
            self.process = subprocess.Popen(
                self.command,
                env=self.environment,
                stdout=log,
                stderr=log,
                preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 no thread holds a lock here
            )
        wait_until(
            lambda: "mailpush is up" in self.log.read_text()[seen:] or self.process.poll() is not None,
            self.last_lines,
            COMES_UP_WITHIN,
        )
        assert self.process.poll() is None, self.last_lines()

    @property
    def command(self):
        return [sys.executable, str(settings.BASE_DIR / "manage.py"), "up", "--no-demo"]

    def run_again(self):
        return subprocess.run(
            self.command, check=False, env=self.environment, capture_output=True, text=True, timeout=60
        )

    def readiness(self):
        door = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=5)
        try:
            door.request("GET", "/readyz", headers={"Host": "localhost"})
            return door.getresponse().status
        except OSError:
            return 0
        finally:
            door.close()

    def pids(self, words=""):
        """Every living process that was started for this data folder and names `words`."""
        return {pid for pid, command in _processes_of(self.data) if words in command and pid != self.process.pid}

    def stop(self, how=signal.SIGTERM):
        self.process.send_signal(how)
        return self.process.wait(30)

    def last_lines(self):
        return self.log.read_text()[-3000:]


def _processes_of(data):
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            command = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            environment = (entry / "environ").read_bytes()
        except OSError:
            continue
        if command and (str(data).encode() in environment or str(data) in command):
            yield int(entry.name), command


def wait_until(is_so, why=lambda: "", seconds=30):
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            pytest.fail(f"Waited in vain. {why()}")
        time.sleep(0.2)


@pytest.fixture(scope="module")
def up():
    # Not below pytest's folder: each run of pytest closes it to other users again, and PostgreSQL may be one.
    with tempfile.TemporaryDirectory(prefix="mailpush-up-") as folder:
        up = Up(Path(folder) / "data", [free_port() for _ in range(3)])
        try:
            up.start()
            yield up
        finally:
            up.stop()
