"""The body as it is previewed, reviewed and sent: made once, when the author saves.

Both functions take and give the source of a template. Between, variables are words that no HTML reader touches,
and braces are mere text: what a character reference or the HTML reader makes into a brace stays a brace.
"""

import subprocess
import sys
from collections.abc import Callable, Collection
from pathlib import Path

from mailpush.mail.compose import html_to_text
from mailpush.mail.variables import VARIABLES
from templates_app.rendering.compiling import compile as compile_source
from templates_app.rendering.compiling import quoted

INLINER = Path(__file__).with_name("inliner.py")
PATIENCE = 20  # seconds; it ends itself after three of work, which take longer where many wait


class NotPreparable(ValueError):
    """The HTML is nested too deeply, has too many styles for its size, or is otherwise beyond reading."""


def prepare_html(html: str, *, allowed: Collection[str] | None = VARIABLES) -> str:
    """Return a whole, well-formed document with its styles inlined; `<style>` stays, for media queries.

    :raises BadTemplate: it has unknown variables or stray braces.
    :raises NotPreparable: it cannot be read in reasonable time and memory.
    """
    return _without_variables(html, allowed, _inlined, is_html=True)


def derive_text(html: str, *, allowed: Collection[str] | None = VARIABLES) -> str:
    """Return the text part for a body without one.

    :raises BadTemplate: the body has unknown variables or stray braces.
    """
    return _without_variables(html, allowed, html_to_text, is_html=False)


def _without_variables(
    html: str, allowed: Collection[str] | None, change: Callable[[str], str], *, is_html: bool
) -> str:
    """Change HTML in which each variable is a word, and put the variables back."""
    compiled = compile_source(html, escape=True, allowed=allowed)
    mark = "variable"
    while mark in html:
        mark += "x"
    words = {name: f"{mark}q{number}q" for number, name in enumerate(sorted(compiled.variables))}
    parts = list(compiled.parts)
    for place, name in compiled.slots:
        parts[place] = words[name]
    source = quoted(change("".join(parts)), is_html=is_html)
    for name, word in words.items():
        source = source.replace(word, f"{{{name}}}")
    return source


def _inlined(html: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - our own program, and nothing of the HTML on its command line
            [sys.executable, "-I", str(INLINER)], input=html.encode(), capture_output=True, timeout=PATIENCE, check=True
        )
    except subprocess.SubprocessError as error:
        raise NotPreparable("The HTML is too deeply nested or too large for its styles.") from error
    return done.stdout.decode()
