"""Rules that every template of the project keeps."""

import os
import re
from pathlib import Path

import pytest
from django.conf import settings
from django.template import engines

from mailpush.lib import ui

ROOT = Path(settings.BASE_DIR)
PAGES = sorted(
    path
    for path in ROOT.glob("*/templates/**/*.html")
    if not {"node_modules", ".venv", ".data"} & set(path.relative_to(ROOT).parts)
)
COMMENT = re.compile(r"{% comment %}.*?{% endcomment %}|{#.*?#}", re.DOTALL)
SCRIPT = re.compile(r"<script\b([^>]*)>(.*?)</script>", re.DOTALL | re.IGNORECASE)
HANDLER = re.compile(r"<[^>]*\son[a-z]+\s*=", re.IGNORECASE)
ICON = re.compile(r"""{%\s*icon\s+"([^"]+)"|\bicon(?:_name)?="([^"]+)\"""")

pages = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


def source(path):
    return COMMENT.sub("", path.read_text())


def test_there_are_pages():
    assert ROOT / "mailpush/templates/base.html" in PAGES


@pages
def test_template_has_no_code_of_its_own(path):
    """The content security policy would refuse to run it."""
    text = source(path)

    inline = [
        body for attributes, body in SCRIPT.findall(text) if body.strip() and "application/json" not in attributes
    ]
    assert inline == []
    assert HANDLER.findall(text) == []
    assert "javascript:" not in text.lower()
    assert "<style" not in text.lower()
    assert "hx-on" not in text


@pages
def test_template_loads_nothing_from_elsewhere(path):
    assert re.findall(r"""\b(?:src|href|action)=["']?(?:https?:)?//[^"'\s]+""", source(path)) == []


@pages
def test_template_compiles(path):
    name = path.relative_to(next(parent for parent in path.parents if parent.name == "templates"))

    assert engines["django"].get_template(str(name))


@pages
def test_icons_exist(path):
    if not ui.ICONS.is_dir():
        assert not os.environ.get("CI"), "The packages of the pages are not installed."
        pytest.skip("The packages of the pages are not installed: run manage.py build.")

    names = {first or second for first, second in ICON.findall(source(path))}
    assert [name for name in sorted(names) if not (ui.ICONS / f"{name}.svg").exists()] == []
