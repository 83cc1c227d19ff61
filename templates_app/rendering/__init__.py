"""From what an author writes to what each recipient gets.

`compiling` turns a source into literals and slots, once, and joins them for every recipient; `preparing` makes the
body that is previewed, reviewed and sent out of the author's HTML.
"""

from templates_app.rendering.compiling import BadTemplate, Compiled, Mistake, compile, one_line, quoted  # noqa: A004
from templates_app.rendering.preparing import NotPreparable, derive_text, prepare_html

__all__ = [
    "BadTemplate",
    "Compiled",
    "Mistake",
    "NotPreparable",
    "compile",
    "derive_text",
    "one_line",
    "prepare_html",
    "quoted",
]
