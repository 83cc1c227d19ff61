"""The whole of mailpush as `up` runs it, and a visitor in Chromium."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from django.conf import settings
from playwright.sync_api import sync_playwright

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


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


@pytest.fixture(scope="session")
def platform():
    # Short, so that the databases' sockets have room in it.
    folder = Path(tempfile.mkdtemp(prefix="mp-"))
    platform = Platform(folder)
    platform.start("--no-demo")
    yield platform
    platform.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def browser():
    if not CHROMIUM:
        if os.environ.get("CI") == "true":
            pytest.fail("Chromium is missing.")
        pytest.skip("Chromium is not installed.")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ALONE)
        yield browser
        browser.close()
