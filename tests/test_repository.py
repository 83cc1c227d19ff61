"""Rules of the repository that no linter holds."""

import ast
import importlib
import json
import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from django.apps import apps
from django.conf import settings
from packaging.requirements import Requirement

from mailpush import settings as source
from mailpush.lib.refusals import Refusal
from mailpush.runtime.parts import parts
from mailpush.schedule import BEAT_SCHEDULE, TASK_ROUTES

ROOT = settings.BASE_DIR
APPS = ("accounts", "domains", "senders", "recipients", "templates_app", "sending", "stats")
QUEUES = {"trigger", "batch", "background"}
LONGEST_MODULE = 400
LONGEST_FUNCTION = 50
COMPOSE = (ROOT / "docker" / "compose.yaml").read_text()


def modules():
    for top in (*APPS, "mailpush"):
        for path in sorted((ROOT / top).rglob("*.py")):
            if not {"migrations", "node_modules"} & set(path.parts):
                yield path


@pytest.mark.parametrize("path", list(modules()), ids=lambda path: str(path.relative_to(ROOT)))
def test_modules_and_functions_are_short(path: Path):
    text = path.read_text()
    functions = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]

    assert len(text.splitlines()) <= LONGEST_MODULE
    assert [each.name for each in functions if each.end_lineno - each.lineno >= LONGEST_FUNCTION] == []


@pytest.mark.parametrize("label", APPS)
def test_foreign_keys_point_downwards(label):
    above = set(APPS[APPS.index(label) + 1 :])
    for model in apps.get_app_config(label).get_models():
        targets = {field.related_model._meta.app_label for field in model._meta.fields if field.is_relation}
        assert not targets & above


def test_every_refusal_has_a_code_of_its_own():
    def heirs(refusal):
        for heir in refusal.__subclasses__():
            yield heir
            yield from heirs(heir)

    for refusal in heirs(Refusal):
        assert "code" in vars(refusal), refusal
        assert re.fullmatch(r"[a-z]+(_[a-z]+)*", refusal.code), refusal


@pytest.mark.parametrize("entry", list(BEAT_SCHEDULE.values()), ids=list(BEAT_SCHEDULE))
def test_beat_calls_tasks_that_exist(entry):
    module, _, name = entry["task"].rpartition(".")

    assert getattr(importlib.import_module(module), name).name == entry["task"]


def test_every_queue_has_a_worker():
    assert {route["queue"] for route in TASK_ROUTES.values()} <= QUEUES
    commands = [" ".join(part.command) for part in parts()]
    for queue in QUEUES:
        assert any(f"-Q {queue} " in command for command in commands)
        assert f"-Q {queue} " in COMPOSE


def test_compose_knows_its_settings():
    assert set(re.findall(r"\bMAILPUSH_[A-Z_]+", COMPOSE)) <= source.env.names


def test_readme_has_every_setting():
    readme = (ROOT / "README.md").read_text()
    listed = set(re.findall(r"^\| `([A-Z_]+)`", readme, re.MULTILINE)) | set(re.findall(r"`(SECRET_KEY)`", readme))

    assert source.env.names <= listed


def test_no_package_needs_a_compiler():
    """What was built here says so by a platform tag that no package index takes."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    waiting = [Requirement(line) for line in project["project"]["dependencies"] + project["dependency-groups"]["dev"]]
    seen, built_here = set(), set()
    while waiting:
        wanted = waiting.pop()
        if str(wanted) in seen:
            continue
        seen.add(str(wanted))
        package = metadata.distribution(wanted.name)
        if re.search(r"-linux_\w+$", package.read_text("WHEEL"), re.MULTILINE):
            built_here.add(wanted.name)
        needs = map(Requirement, package.requires or [])
        extras = [{"extra": extra} for extra in ("", *wanted.extras)]
        waiting += [need for need in needs if not need.marker or any(map(need.marker.evaluate, extras))]

    assert any(each.startswith("asgiref") for each in seen)  # what Django needs
    assert built_here == set()


def test_lock_file_names_no_host():
    lock = json.loads((ROOT / "mailpush" / "package-lock.json").read_text())

    assert [name for name, package in lock["packages"].items() if "resolved" in package] == []
