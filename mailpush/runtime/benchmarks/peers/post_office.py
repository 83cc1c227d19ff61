"""django-post_office, which signs nothing: mails queued as rows, then sent by its own command, processes and threads.

It runs in an environment of its own (`post_office_site`), put together by uv. Measured is the sending alone: the
rows are made before.
"""

import os
import shutil
import subprocess
import sys
import time

from django.db import connection

from mailpush.runtime.benchmarks.peers import post_office_site
from mailpush.runtime.benchmarks.peers.peer import WITHIN, Job, Unable

PACKAGES = ("django-post-office==3.12.0", "django~=5.2.0", "psycopg[binary]~=3.3")
DATABASE = "post_office"
READY = "ready"


def unsigned(job: Job, mails: int) -> float:
    """Have as many processes as deliver ours, with ten threads each."""
    uv = shutil.which("uv")
    if not uv:
        raise Unable("uv is not on the path")
    _make_database()
    wanted = [option for package in PACKAGES for option in ("--with", package)]
    server = connection.connection.info  # open since the database was made
    arguments = [server.host, server.user, DATABASE, str(job.port), str(mails), str(job.processes)]
    command = [
        uv,
        "run",
        "--no-project",
        "--python",
        sys.executable,
        *wanted,
        "python",
        "-P",
        str(post_office_site.__file__),
    ]
    environment = {name: value for name, value in os.environ.items() if name not in {"VIRTUAL_ENV", "PYTHONPATH"}}
    with (job.folder / "post_office.log").open("wb") as log:
        site = subprocess.Popen(  # noqa: S603 a fixed command
            [*command, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            env=environment,
            text=True,
        )
    with site:
        assert site.stdin
        assert site.stdout
        if site.stdout.readline().strip() != READY:
            site.kill()
            raise Unable(f"it did not start: {(job.folder / 'post_office.log').read_text()[-300:].strip()}")
        job.sink.expect()
        begun = time.perf_counter()
        site.stdin.write("\n")
        site.stdin.flush()
        try:
            job.sink.wait_for(mails, within=WITHIN)
        except BaseException:
            site.kill()
            raise
        return time.perf_counter() - begun


def _make_database() -> None:
    with connection.cursor() as cursor:
        cursor.execute(f"DROP DATABASE IF EXISTS {DATABASE}")
        cursor.execute(f"CREATE DATABASE {DATABASE}")
