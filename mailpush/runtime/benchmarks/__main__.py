"""One benchmark inside its throwaway place: `python -m mailpush.runtime.benchmarks NAME OPTIONS-AS-JSON`."""

import json
import signal
import sys

import django
from django.conf import settings
from django.core.management import call_command

from mailpush.runtime.benchmarks import throwaway
from mailpush.runtime.borrowing import configured, running


def main(name: str, options: str) -> None:
    signal.signal(signal.SIGTERM, throwaway.end)
    wanted = json.loads(options)
    as_json = wanted.pop("json")
    django.setup()
    from mailpush.runtime.benchmarks.conditions import conditions  # noqa: PLC0415 the apps are loaded from here on
    from mailpush.runtime.benchmarks.table import BENCHMARKS, shown  # noqa: PLC0415

    with running(configured(), settings.PLACES):
        call_command("migrate", interactive=False, verbosity=0)
        met = conditions()
        measured = BENCHMARKS[name].run(**wanted)
    sys.stdout.write(f"{shown(name, measured, met)}\n")
    if as_json:
        sys.stdout.write(f"{json.dumps(measured.numbers)}\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
