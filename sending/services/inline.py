"""Texts that a program sends along instead of a template's."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from mailpush.lib.refusals import Refusal
from templates_app import rendering


class BadBraces(Refusal):
    """A brace that belongs to no variable, in a text whose recipients have variables."""

    code = "bad_braces"


@dataclass(frozen=True, slots=True)
class Body:
    """What a mail says. Without `text` it is derived from the HTML."""

    subject: str
    html: str = ""
    text: str = ""


def must_compile(body: Body) -> None:
    """:raises BadBraces: naming the place."""
    for name in ("subject", "html", "text"):
        try:
            rendering.compile(getattr(body, name), escape=name == "html")
        except rendering.BadTemplate as problem:
            mistake = problem.mistakes[0]
            raise BadBraces(
                _("Line %(line)s, column %(column)s: a single “%(text)s” in “%(around)s”. Write it twice to show it.")
                % {"line": mistake.line, "column": mistake.column, "text": mistake.text, "around": mistake.around},
                field=name,
            ) from problem
