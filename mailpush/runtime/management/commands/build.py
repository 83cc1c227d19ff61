"""Build what the pages need, without starting anything (for images and deployments without `up`)."""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from mailpush.runtime.build import build
from mailpush.runtime.locks import Locked
from mailpush.runtime.npm import NpmFailed


class Command(BaseCommand):
    help = "Install front-end packages, compile translations and collect static files, where anything changed."
    requires_system_checks: list[str] = []  # the static files they ask for are what this makes

    def handle(self, **_options: Any) -> None:
        try:
            build(say=self._say)
        except NpmFailed as failure:
            raise CommandError(str(failure)) from failure
        except Locked:
            raise CommandError("Another build of these sources does not end. Stop it, then build again.") from None

    def _say(self, line: str) -> None:
        """Tell at once what is being done; `up` hands on what commands say of themselves."""
        self.stderr.write(line, style_func=str)
        self.stderr.flush()
