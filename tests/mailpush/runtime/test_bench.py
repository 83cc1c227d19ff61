"""`bench` as its users meet it: small runs as real processes; what they say, not how fast they are."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import settings
from django.core.management import CommandError, call_command

from mailpush.runtime.benchmarks.peers.table import PEERS

pytestmark = pytest.mark.timeout(400)


def bench(*arguments, **environment):
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "bench", *arguments]
    return subprocess.run(
        command, check=False, capture_output=True, text=True, timeout=380, env=os.environ | environment
    )


@pytest.fixture
def place():
    """A folder for all that is temporary; other users may pass through, and sockets have room in its path."""
    with tempfile.TemporaryDirectory(prefix="mp-") as place:
        Path(place).chmod(0o755)
        yield Path(place)


CONTRACT = {
    *("recipients", "messages_per_s", "per_cpu_s", "signing_limit_per_s", "share_of_signing_limit"),
    *("peak_rss_mb", "expand_rows_per_s", "first_mail_s", "peers"),
}


def test_delivery(place):
    run = bench("delivery", "--recipients", "200", "--processes", "1,2", "--json", TMPDIR=str(place))

    assert run.returncode == 0, run.stderr
    numbers = json.loads(run.stdout.splitlines()[-1])
    assert set(numbers) == CONTRACT
    assert numbers["recipients"] == 200
    assert all(value > 0 for value in (*numbers["peers"].values(), *(numbers[key] for key in CONTRACT - {"peers"})))
    named = {line.partition(" (")[0].strip() for line in run.stdout.splitlines() if "Not compared: " in line}
    absent = {line.removeprefix("Not compared: ") for line in named}
    assert {peer.name for peer in PEERS} == numbers["peers"].keys() | absent
    assert numbers["peers"].keys() >= {"Celery task per mail, dkimpy", "Celery task per mail, cryptography"}
    assert all(f"\n  {each}: " in run.stdout for each in ("1 process", "2 processes"))
    assert "fsync on, synchronous_commit on" in run.stdout
    assert list(place.iterdir()) == []


def test_delivery_of_tracked_mail():
    run = bench("delivery", "--recipients", "200", "--processes", "1", "--no-peers", "--tracking", "--json")

    assert run.returncode == 0, run.stderr
    assert set(json.loads(run.stdout.splitlines()[-1])) == CONTRACT
    assert "Each mail of ours is tracked" in run.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="the smart sink needs many loopback addresses")
def test_delivery_to_difficult_servers():
    run = bench("delivery", "--recipients", "200", "--processes", "1", "--scenario", "smart", "--json")

    assert run.returncode == 0, run.stderr
    numbers = json.loads(run.stdout.splitlines()[-1])
    assert numbers["delivered"] + numbers["bounced"] + numbers["failed"] + numbers["unknown"] == 200
    assert numbers["taken_by_sink"] == numbers["delivered"]
    assert min(numbers["bounced"], numbers["failed"]) > 0


@pytest.mark.skipif(sys.platform != "linux", reason="the smart sink needs many loopback addresses")
def test_delivery_beside_difficult_servers():
    run = bench("delivery", "--recipients", "200", "--processes", "1", "--scenario", "fair", "--json")

    assert run.returncode == 0, run.stderr
    numbers = json.loads(run.stdout.splitlines()[-1])
    assert min(numbers["ratio"], numbers["distant_ratio"]) > 0


def test_triggered_mail_beside_a_batch():
    run = bench("delivery", "--recipients", "500", "--processes", "1", "--scenario", "trigger", "--json")

    assert run.returncode == 0, run.stderr
    numbers = json.loads(run.stdout.splitlines()[-1])
    assert 0 < numbers["p50_s"] <= numbers["p99_s"] <= numbers["longest_s"]


@pytest.mark.parametrize("processes", ["", "two", "0", "1,-2"])
def test_a_wrong_number_of_processes_is_refused(processes):
    with pytest.raises(CommandError, match="--processes takes numbers above 0"):
        call_command("bench", "delivery", "--processes", processes)


def test_submission():
    run = bench("submission", "--messages", "200", "--clients", "4", "--json")

    assert run.returncode == 0, run.stderr
    numbers = json.loads(run.stdout.splitlines()[-1])
    assert set(numbers) == {"accepted_per_s", "p99_ms", "peers"}
    assert numbers["accepted_per_s"] > 0
    assert numbers["p99_ms"] > 0


def test_import():
    run = bench("import", "--rows", "1000", "--json")

    assert run.returncode == 0, run.stderr
    numbers = json.loads(run.stdout.splitlines()[-1])
    assert set(numbers) == {"rows", "load_rows_per_s", "end_to_end_rows_per_s", "peak_rss_mb", "peers"}
    assert numbers["rows"] == 1000


def test_a_name_that_is_none_is_refused():
    with pytest.raises(CommandError, match="delivery"):
        call_command("bench", "delivering")


def test_api():
    run = bench("api", "--requests", "60", "--clients", "4", "--json")

    assert run.returncode == 0, run.stderr
    numbers = json.loads(run.stdout.splitlines()[-1])
    assert set(numbers) >= {"single_send_per_s", "bare_view_per_s"}
    assert all(value > 0 for value in numbers.values())
