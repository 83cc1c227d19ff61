"""Send while processes are killed, and prove that nothing accepted is lost."""

import json
import random
import sys
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand

from mailpush.runtime.benchmarks import throwaway


class Command(BaseCommand):
    help = (
        "Send on databases of its own while workers, broker and database are killed, then compare what became of "
        "every message with what the receiving server has in its books. Exit code 1 where something is lost."
    )
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument(
            "--messages", type=int, default=50_000, help="a fifth of them through the submission door (50,000)"
        )
        parser.add_argument("--kills", type=int, default=20, help="processes killed meanwhile (20)")
        parser.add_argument("--seed", type=int, help="kill in the order of an earlier run")
        parser.add_argument("--report", type=Path, help="write each kill, duplicate and unknown outcome to this file")
        parser.add_argument("--json", action="store_true", help="print the numbers as JSON on the last line")

    def handle(self, **given: Any) -> None:
        options = {name: given[name] for name in ("messages", "kills", "json", "verbosity")}
        options["report"] = str(given["report"].resolve()) if given["report"] else ""
        seed = random.randrange(1_000_000) if given["seed"] is None else given["seed"]  # noqa: S311 chaos, not secrets
        ports = {"MAILPUSH_MX_PORT": str(throwaway.free_ports(1)[0])}
        sys.exit(throwaway.run("mailpush.runtime.chaos", json.dumps({**options, "seed": seed}), given=ports))
