"""The run inside its throwaway place: `python -m mailpush.runtime.chaos OPTIONS-AS-JSON`."""

import asyncio
import json
import logging
import random
import signal
import sys
from pathlib import Path

import django
from django.conf import settings

from mailpush.runtime.benchmarks import throwaway
from mailpush.runtime.locks import locked
from mailpush.runtime.nursery import Newborn, Nursery


def main(options: str) -> None:
    wanted = json.loads(options)
    signal.signal(signal.SIGTERM, throwaway.end)
    django.setup()
    logging.getLogger("psycopg.pool").setLevel(logging.ERROR)  # that the database is away is no news here
    try:
        nursery = Nursery()  # before there are threads, connections and locks
    except Newborn as newborn:
        newborn.live()
        return
    from mailpush.runtime.chaos.report import reported  # noqa: PLC0415
    from mailpush.runtime.chaos.run import Chaos  # noqa: PLC0415 the apps are loaded from here on

    sys.stdout.write(f"chaos: {wanted['messages']:,} messages, {wanted['kills']} kills, seed {wanted['seed']}\n\n")
    chance = random.Random(wanted["seed"])  # noqa: S311 chaos, not secrets
    write = _say_to_stderr if wanted["verbosity"] > 1 else _say_nothing
    with locked(settings.PLACES.locks / "users"):  # as `up` does: processes of the run must not stop the databases
        run = Chaos(wanted["messages"], wanted["kills"], _say, write, chance)
        proof = asyncio.run(run.run(nursery))
    _say("")
    for key, number in proof.numbers.items():
        _say(f"  {key:<12}{number:>12,}")
    _say("")
    for line in proof.notes:
        _say(f"  {line}")
    for line in proof.problems:
        _say(f"  WRONG: {line}")
    if wanted["report"]:
        Path(wanted["report"]).write_text(reported(proof, run.kills, seed=wanted["seed"]))
        _say(f"  One by one in {wanted['report']}.")
    _say("  Nothing is lost, and the sums add up." if proof.holds else "  The promise is broken.")
    if wanted["json"]:
        _say(json.dumps(proof.numbers))
    sys.exit(not proof.holds)


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _say_to_stderr(name: str, line: str) -> None:
    sys.stderr.write(f"{name:<10} | {line}\n")


def _say_nothing(_name: str, _line: str) -> None:
    """Log lines of processes that are killed on purpose tell nothing new."""


if __name__ == "__main__":
    main(sys.argv[1])
