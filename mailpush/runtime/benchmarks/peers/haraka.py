"""Haraka with its DKIM plugin, fetched by npm into the run's folder. It does not sync its queue to the disk."""

import shutil
import subprocess
import time
from pathlib import Path

from mailpush.runtime.benchmarks.peers.feeding import WARM_UP, feed, program, server
from mailpush.runtime.benchmarks.peers.peer import Job, Unable
from mailpush.runtime.benchmarks.processes import wait_for_port
from mailpush.runtime.benchmarks.throwaway import HOST, free_ports

PACKAGE = "haraka@3.3.4"
INSTALLS_WITHIN = 300.0  # seconds
# Everybody may send to everybody, through the sink, and nobody is looked up in the DNS.
PLUGIN = """
exports.hook_lookup_rdns = (next) => next(OK, 'localhost')
exports.hook_connect = (next, connection) => { connection.relaying = true; next() }
exports.hook_get_mx = (next) => next(OK, { priority: 0, exchange: '127.0.0.1', port: PORT })
"""


def with_dkim(job: Job, mails: int) -> float:
    """Have as many Haraka processes as deliver ours."""
    program("smtp-source")
    _install(job.folder)
    (port,) = free_ports(1)
    _configure(job, port)
    command = [program("node"), "node_modules/haraka/bin/haraka", "-c", str(job.folder)]
    with server(command, job.folder, lambda: wait_for_port(port)):
        feed(job, port, WARM_UP)
        begun = time.perf_counter()
        feed(job, port, mails)
        return time.perf_counter() - begun


def _install(folder: Path) -> None:
    npm = shutil.which("npm")
    if not npm:
        raise Unable("npm is not installed")
    command = [npm, "install", "--no-audit", "--no-fund", "--ignore-scripts", PACKAGE]
    done = subprocess.run(  # noqa: S603 a fixed command
        command, cwd=folder, check=False, capture_output=True, text=True, timeout=INSTALLS_WITHIN
    )
    if done.returncode:
        raise Unable(f"npm could not fetch it ({(done.stderr.strip().splitlines() or ['?'])[-1]})")


def _configure(job: Job, port: int) -> None:
    files = {
        "config/smtp.ini": f"listen={HOST}:{port}\nnodes={job.processes}\n",
        "config/me": "mx.peer.example\n",
        # As `haraka --install` would put it there; without it connections break.
        "config/connection.ini": (job.folder / "node_modules/haraka/config/connection.ini").read_text(),
        "config/loglevel": "ERROR\n",
        "config/plugins": "to_sink\ndkim\n",
        "config/outbound.ini": "enable_tls=false\nlocal_mx_ok=true\n",
        "config/dkim.ini": (
            f"[sign]\nenabled=true\nselector={job.selector}\ndomain={job.domain}\n"
            "headers=From, To, Subject, Date, Message-ID, MIME-Version, Content-Type\n"
            "[canon]\nbody=relaxed\n[verify]\nenabled=false\n"
        ),
        f"config/dkim/{job.domain}/selector": job.selector,
        f"config/dkim/{job.domain}/private": job.key.decode(),
        "plugins/to_sink.js": PLUGIN.replace("PORT", str(job.port)),
    }
    for name, text in files.items():
        path = job.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
