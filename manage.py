#!/usr/bin/env python
"""The command line of mailpush."""

import os
import sys

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import execute_from_command_line

from mailpush.runtime.borrowing import configured, running
from mailpush.runtime.embedded import ServerFailed

# Commands that ask no database, and those that bring their own.
WITHOUT_SERVERS = {
    *("up", "build", "run_sandbox", "bench", "chaos", "help", "version", "test"),
    *("compilemessages", "makemessages", "collectstatic", "findstatic", "diffsettings"),
    *("--help", "-h", "--version"),
}


def main(arguments: list[str]) -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mailpush.settings")
    command = arguments[1] if len(arguments) > 1 else "help"
    try:
        places = settings.PLACES
    except ImproperlyConfigured as mistake:
        sys.exit(str(mistake))
    needs_servers = command not in WITHOUT_SERVERS and "--help" not in arguments
    try:
        with running(configured() if needs_servers else [], places):
            execute_from_command_line(arguments)
    except ServerFailed as failure:
        sys.exit(str(failure))


if __name__ == "__main__":
    main(sys.argv)
