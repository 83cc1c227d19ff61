"""`bench` as its users meet it: small runs as real processes; what they say, not how fast they are."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from django.conf import settings

pytestmark = pytest.mark.timeout(300)


def bench(*arguments):
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "bench", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=280)


def left_behind():
    return set(Path(tempfile.gettempdir()).glob("mailpush-run-*"))


def test_delivery():
    before = left_behind()

    run = bench("delivery", "--recipients", "200", "--workers", "1", "--json")

    assert run.returncode == 0, run.stderr
    numbers = json.loads(run.stdout.splitlines()[-1])
    assert set(numbers) == {
        "recipients",
        "messages_per_s",
        "per_cpu_s",
        "signing_limit_per_s",
        "share_of_signing_limit",
        "peak_rss_mb",
        "expand_rows_per_s",
        "peers",
    }
    assert numbers["recipients"] == 200
    assert numbers["share_of_signing_limit"] == pytest.approx(
        numbers["messages_per_s"] / numbers["signing_limit_per_s"], abs=0.001
    )
    assert list(numbers["peers"]) == ["celery task per mail (dkimpy, smtplib)"]
    assert all(value > 0 for value in (*numbers["peers"].values(), *(numbers[key] for key in set(numbers) - {"peers"})))
    assert "fsync on, synchronous_commit on" in run.stdout
    assert left_behind() <= before


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
    run = bench("delivering")

    assert run.returncode != 0
    assert "delivery" in run.stderr
