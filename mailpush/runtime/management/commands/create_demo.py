"""Create the demo (called by `up` when everything runs)."""

import json
from dataclasses import asdict
from typing import Any

from django.core.management.base import BaseCommand

from mailpush.runtime.demo import create_demo


class Command(BaseCommand):
    help = "Create the demo where there is no account yet, and print its logins as JSON."

    def handle(self, **_options: Any) -> None:
        logins = create_demo()
        self.stdout.write(json.dumps(asdict(logins) if logins else None))
