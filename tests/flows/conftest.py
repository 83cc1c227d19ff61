"""The whole of mailpush as `up` runs it, and a visitor in Chromium."""

import http.client
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psycopg
import pytest
from django.conf import settings
from playwright.sync_api import sync_playwright

from mailpush.places import Places
from mailpush.runtime.processes import dies_with_parent
from mailpush.sandbox.world import Mail, World
from tests.ports import free_port

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
# Without these the browser asks for hosts of its maker, which tests must not.
ALONE = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
PATIENCE = 100  # seconds for a start with everything to be built


class Platform:
    """`manage.py up` in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        web, submission, mx = (free_port() for _ in range(3))
        self.places = Places(folder)
        self.web_port = web
        self.url = f"http://localhost:{web}"
        self.submission_port = submission
        self.environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("MAILPUSH_")},
            "MAILPUSH_DATA_DIR": str(folder),
            "MAILPUSH_WEB_BIND": f"127.0.0.1:{web}",
            "MAILPUSH_SUBMISSION_BIND": f"127.0.0.1:{submission}",
            "MAILPUSH_MX_BIND": f"127.0.0.1:{mx}",
            "MAILPUSH_PUBLIC_URL": self.url,
        }
        self.log = folder / "up.log"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *options: str) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "manage.py", "up", *options],
                cwd=settings.BASE_DIR,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                preexec_fn=dies_with_parent(signal.SIGTERM),  # noqa: PLW1509 no thread holds a lock here
            )
        for _ in range(PATIENCE * 4):
            if "Stop it with" in self.log.read_text():
                return
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(0.25)
                break
        pytest.fail(f"up did not start:\n{self.log.read_text()[-3000:]}")

    def stop(self) -> None:
        assert self._process
        self._process.send_signal(signal.SIGTERM)
        self._process.wait(30)

    def manage(self, *arguments: str) -> dict[str, str]:
        """Run a command that prints JSON."""
        done = subprocess.run(
            [sys.executable, "manage.py", *arguments],
            cwd=settings.BASE_DIR,
            env=self.environment,
            check=True,
            capture_output=True,
            text=True,
        )
        return json.loads(done.stdout)

    def query(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Ask the platform's own database."""
        with psycopg.connect(self.places.postgres_url) as connection:
            return connection.execute(statement, values).fetchall()

    def inbox(self, search: str) -> list[Mail]:
        """Return what has arrived in the pretend internet for recipients with these letters."""
        return World(self.places.sandbox).mails(search=search, limit=5000)

    def is_ready(self) -> bool:
        door = http.client.HTTPConnection("127.0.0.1", self.web_port, timeout=10)
        try:
            door.request("GET", "/readyz", headers={"Host": "localhost"})
            return door.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            door.close()

    def parts(self, words: str) -> set[int]:
        """Return the parts with these words in their command: each leads a session of its own."""
        return {pid for pid in self.processes(words) if os.getsid(pid) == pid}

    def processes(self, words: str) -> set[int]:
        """Return every process below `up` with these words in its command."""
        assert self._process
        return {pid for pid in _below(self._process.pid) if words in _command_line(pid)}

    def kill(self, words: str) -> None:
        """Kill parts outright, and wait until others run in their place and everything answers."""
        killed = self.parts(words)
        assert killed
        for pid in killed:
            os.kill(pid, signal.SIGKILL)
        self.wait_until(
            lambda: len(self.parts(words)) == len(killed) and not self.parts(words) & killed and self.is_ready()
        )

    def wait_until(self, condition: Callable[[], object], seconds: float = PATIENCE) -> None:
        end = time.monotonic() + seconds
        while not condition():
            if time.monotonic() > end:
                pytest.fail(f"Waited in vain:\n{self.log.read_text()[-5000:]}")
            time.sleep(0.2)


def _below(pid: int) -> set[int]:
    """Return the children of a process, and theirs."""
    children: set[int] = set()
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):
            children.update(map(int, task.read_text().split()))
    return children.union(*map(_below, children))


def _command_line(pid: int) -> str:
    with suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
    return ""


@pytest.fixture(scope="package")  # what comes afterwards has the processors for itself
def platform():
    # Short, so that the databases' sockets have room in it.
    folder = Path(tempfile.mkdtemp(prefix="mp-"))
    platform = Platform(folder)
    platform.start("--no-demo")
    yield platform
    platform.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")  # its event loop must not outlive the module: others have loops of their own
def browser():
    if not CHROMIUM:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing.")
        pytest.skip("Chromium is not installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ALONE)
        yield browser
        browser.close()
