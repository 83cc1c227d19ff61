"""`up` as its users meet it: a real process with real children, in the order of its life."""

import os
import signal
import socket
import subprocess
import sys

import pytest
from django.conf import settings

from tests.mailpush.runtime.conftest import wait_until

pytestmark = [
    pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc"),
    pytest.mark.timeout(180),
]


def test_everything_answers(up):
    assert up.readiness() == 200


def test_a_second_start_on_the_same_folder_is_refused(up):
    again = up.run_again()

    assert again.returncode != 0
    assert f"mailpush already runs on {up.data}" in again.stderr
    assert up.readiness() == 200


def test_a_start_whose_doors_others_have_makes_nothing(up, tmp_path):
    """What answers there may be another mailpush, and looks as if it were this one."""
    other = tmp_path / "data"
    done = subprocess.run(
        up.command,
        check=False,
        env=up.environment | {"MAILPUSH_DATA_DIR": str(other)},
        capture_output=True,
        text=True,
        timeout=90,
    )

    assert done.returncode != 0
    for setting in ("MAILPUSH_WEB_BIND", "MAILPUSH_SUBMISSION_BIND", "MAILPUSH_MX_BIND"):
        assert f"Set {setting}." in done.stderr
    assert not (other / "postgres").exists()


def test_other_commands_use_its_servers(up):
    check = [sys.executable, str(settings.BASE_DIR / "manage.py"), "migrate", "--check"]

    assert subprocess.run(check, check=False, env=up.environment, timeout=60).returncode == 0
    assert up.readiness() == 200


@pytest.mark.parametrize("words", ["bin/postgres -D", "valkey-server", "run_web", "run_sandbox", "-n trigger@"])
def test_what_is_killed_comes_back(up, words):
    killed = min(up.pids(words))

    os.kill(killed, signal.SIGKILL)

    wait_until(lambda: killed not in up.pids() and up.pids(words) and up.readiness() == 200, up.last_lines)


def test_a_killed_web_worker_comes_back(up):
    killed = max(up.pids("run_web"))  # the first is their parent

    os.kill(killed, signal.SIGKILL)

    wait_until(lambda: killed not in up.pids() and up.readiness() == 200, up.last_lines)


def test_a_stop_leaves_nothing_behind(up):
    assert up.stop() == 0
    assert up.pids() == set()


def test_a_later_start_keeps_what_was_there_and_a_kill_ends_its_children(up):
    up.start()
    assert up.readiness() == 200

    up.stop(signal.SIGKILL)

    wait_until(lambda: up.pids() == set(), up.last_lines)


def test_it_starts_after_everything_was_killed(up):
    (up.data / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n")  # a number that is in use by now

    up.start()

    assert up.readiness() == 200
    assert up.stop(signal.SIGINT) == 0


def test_a_part_that_cannot_start_is_named(up):
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        door.listen()
        taken = up.environment | {"MAILPUSH_WEB_BIND": f"127.0.0.1:{door.getsockname()[1]}"}
        done = subprocess.run(up.command, check=False, env=taken, capture_output=True, text=True, timeout=90)

    assert done.returncode != 0
    assert "web could not be started" in done.stderr
    assert "Set MAILPUSH_WEB_BIND" in done.stderr
    assert up.pids() == set()
