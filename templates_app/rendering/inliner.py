"""Reads HTML, writes it as a whole document with the styles of `<style>` on the elements they are for.

A program of its own, with limits, because the library recurses: HTML that is nested deeply enough ends the
process that inlines it. It imports nothing of mailpush, so that it starts in hundredths of a second.
"""

import resource
import sys

import css_inline

MEMORY = 1 << 30  # bytes
CPU_TIME = 3  # seconds; a megabyte of an ordinary newsletter takes 0.1


def main() -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_TIME, CPU_TIME))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    html = sys.stdin.buffer.read().decode()
    sys.stdout.buffer.write(_inlined(html).encode())


def _inlined(html: str) -> str:
    """Keep `<style>` too, for media queries, and `<link>`, to be refused later; fetch nothing."""
    for with_styles in (True, False):  # a style attribute that is no CSS makes inlining impossible
        inliner = css_inline.CSSInliner(
            inline_style_tags=with_styles, keep_style_tags=True, keep_link_tags=True, load_remote_stylesheets=False
        )
        try:
            return inliner.inline(html)
        except css_inline.InlineError:
            continue
    raise SystemExit("This is not HTML that can be read.")


if __name__ == "__main__":
    main()
