"""What a first start fetches and builds: it says what it does, and what it lacks."""

import shutil
import sys
import time

import pytest

from mailpush.runtime import npm, steps
from tests.ports import free_port


@pytest.fixture
def pages(monkeypatch, tmp_path):
    """A folder of its own for packages, and npm that tries once."""
    for name in ("package.json", "package-lock.json"):
        shutil.copy(npm.PAGES_DIR / name, tmp_path)
    monkeypatch.setattr(npm, "PAGES_DIR", tmp_path)
    monkeypatch.setenv("npm_config_fetch_retries", "0")
    monkeypatch.setenv("npm_config_cache", str(tmp_path / "cache"))
    return tmp_path


def test_a_registry_that_cannot_be_reached_is_named(pages, monkeypatch):
    registry = f"http://127.0.0.1:{free_port()}"
    monkeypatch.setenv("npm_config_registry", registry)
    said = []

    with pytest.raises(npm.NpmFailed) as failed:
        npm.install(said.append)

    assert said == [f"Installing the front-end packages from {registry} with npm…"]
    assert str(failed.value).startswith(f"npm gets nothing from its registry {registry} (ECONNREFUSED);")
    assert "npm_config_registry=" in str(failed.value)


def test_who_waits_for_packages_is_told_so(pages, monkeypatch):
    monkeypatch.setattr(npm, "SAYS_EVERY", 0.1)
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}")
    said = []

    with pytest.raises(npm.NpmFailed):
        npm.install(said.append)

    assert "Still installing the front-end packages…" in said


def test_other_failures_show_what_npm_says(pages):
    (pages / "package-lock.json").unlink()

    with pytest.raises(npm.NpmFailed, match=r"npm could not install the packages of the pages:\n.*npm error"):
        npm.install()


def test_npm_gives_up_an_unreachable_registry_within_seconds(pages, monkeypatch):
    monkeypatch.delenv("npm_config_fetch_retries")
    monkeypatch.setenv("npm_config_registry", f"http://127.0.0.1:{free_port()}")
    began = time.monotonic()

    with pytest.raises(npm.NpmFailed):
        npm.install()

    assert time.monotonic() - began < 45  # by itself it takes 70 and more


STEP = """
import pathlib, sys, time
print("at work", file=sys.stderr, flush=True)
for _ in range(200):
    if pathlib.Path(sys.argv[2]).exists():
        print("result")
        sys.exit(int(sys.argv[1] == "fail"))
    time.sleep(0.05)
sys.exit("Nobody has read the line.")
"""


@pytest.fixture
def step(monkeypatch, tmp_path):
    """Run a step that goes on when its line has been handed on."""
    monkeypatch.setattr(steps, "MANAGE", (sys.executable, "-c", STEP))
    said = []

    def write(name, line):
        said.append((name, line))
        (tmp_path / "read").touch()

    async def run(name):
        return await steps.run_step(write, name, str(tmp_path / "read")), said

    return run


async def test_a_step_is_heard_while_it_works(step):
    assert await step("build") == (["result"], [("build", "at work")])


async def test_a_step_that_fails_shows_its_last_lines(step):
    with pytest.raises(steps.StepFailed, match=r"fail failed\. Its last lines:\nresult\nat work"):
        await step("fail")
