"""The web process: console, admin, APIs, tracking."""

import socket
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError
from granian.constants import Interfaces
from granian.http import HTTP1Settings
from granian.server import Server

from mailpush.environment import Bind

WORKERS = 2
THREADS = 4  # per worker; each may hold a database connection
BACKLOG = 1024
# A request line is bounded by the URI parser below granian at 65,534 bytes, whatever this says; headers add to it.
# Longer parameters must come by POST.
BUFFER_BYTES = 512 * 1024


class Command(BaseCommand):
    help = "Serve console, admin, APIs and tracking until told to stop."

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--workers", type=int, default=WORKERS, help="processes (default: %(default)s)")

    def handle(self, *, workers: int, **_options: Any) -> None:
        bind: Bind = settings.MAILPUSH_WEB_BIND
        _refuse_taken(bind)
        Server(
            "mailpush.wsgi:application",
            address=bind.host,
            port=bind.port,
            interface=Interfaces.WSGI,
            process_name="mailpush run_web",
            workers=workers,
            blocking_threads=THREADS,
            backlog=BACKLOG,
            websockets=False,
            http1_settings=HTTP1Settings(max_buffer_size=BUFFER_BYTES),
            respawn_failed_workers=True,
            workers_kill_timeout=8,
            working_dir=settings.BASE_DIR,
        ).serve()


def _refuse_taken(bind: Bind) -> None:
    """Stop where another program listens: granian's SO_REUSEPORT would silently share the port with it."""
    family = socket.AF_INET6 if ":" in bind.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((bind.host, bind.port))
        except OSError as error:
            raise CommandError(f"Cannot listen on {bind}: {error.strerror}. Set MAILPUSH_WEB_BIND.") from error
