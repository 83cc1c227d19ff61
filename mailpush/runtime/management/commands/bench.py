"""Benchmarks, each on databases of its own that are gone afterwards."""

import json
import sys
from argparse import BooleanOptionalAction
from typing import Any

from django.core.management.base import BaseCommand

from mailpush.runtime.benchmarks import throwaway
from mailpush.runtime.benchmarks.table import BENCHMARKS


class Command(BaseCommand):
    help = "Measure how fast this machine sends, accepts or imports, with databases as durable as in earnest."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        names = parser.add_subparsers(dest="name", metavar="NAME", required=True)
        for name, benchmark in BENCHMARKS.items():
            options = names.add_parser(name, help=benchmark.about)
            options.add_argument("--json", action="store_true", help="print the numbers as JSON on the last line")
            for option, default in benchmark.options.items():
                options.add_argument(f"--{option}", **_argument(default))

    def handle(self, *, name: str, **given: Any) -> None:
        benchmark = BENCHMARKS[name]
        options = {option: given[option] for option in benchmark.options}
        arguments = name, json.dumps({**options, "json": given["json"]})
        sys.exit(throwaway.run("mailpush.runtime.benchmarks", *arguments, given=benchmark.needs(**options)))


def _argument(default: Any) -> dict[str, Any]:
    """Return how argparse takes an option: a choice where there are several values, a flag where there is none."""
    if default is None:
        return {"action": BooleanOptionalAction}
    if isinstance(default, tuple):
        return {"choices": default, "default": default[0], "help": f"default: {default[0]}"}
    return {"type": type(default), "default": default, "help": f"default: {default}"}
