"""The web process: console, admin, APIs, tracking."""

import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailpush.environment import Bind
from mailpush.runtime.web import WORKERS, WebServer


class Command(BaseCommand):
    help = "Serve console, admin, APIs and tracking until told to stop."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--workers", type=int, default=WORKERS, help="processes (default: %(default)s)")

    def handle(self, *, workers: int, **_options: Any) -> None:
        bind: Bind = settings.MAILPUSH_WEB_BIND
        _refuse_taken(bind)
        WebServer(str(bind), workers=workers).run()


def _refuse_taken(bind: Bind) -> None:
    """Stop where another program listens; the server itself would try again for seconds."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind.host, bind.port))
        except OSError as error:
            raise CommandError(f"Cannot listen on {bind}: {error.strerror}. Set MAILPUSH_WEB_BIND.") from error
