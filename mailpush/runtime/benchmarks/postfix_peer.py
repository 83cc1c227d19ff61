"""A peer of the submission door: Postfix, accepting into its queue on the disk and then throwing away.

A configuration of its own in a folder of its own; what Debian has set up is not touched. Postfix starts as root only.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailpush.runtime.benchmarks.processes import wait_for_port
from mailpush.runtime.benchmarks.throwaway import HOST, free_ports

PROGRAM = "/usr/sbin/postfix"
STOPS_WITHIN = 30  # seconds

MAIN = """
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
myhostname = peer.example
mydestination =
alias_maps =
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
default_transport = discard:
smtpd_peername_lookup = no
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
"""
MASTER = """
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
discard unix - - n - - discard
error unix - - n - - error
anvil unix - - n - 1 anvil
postlog unix-dgram n - n - 1 postlogd
"""


def why_not() -> str:
    """Return why it cannot run here, empty where it can."""
    if not Path(PROGRAM).exists():
        return "not installed"
    return "it must be started as root" if os.geteuid() else ""


def version() -> str:
    told = subprocess.run(["/usr/sbin/postconf", "-hd", "mail_version"], capture_output=True, text=True, check=False)
    return told.stdout.strip()


@contextmanager
def running() -> Iterator[int]:
    """Have it for the length of the block; yield its port."""
    # Not in the data folder, which other users may not pass through.
    with tempfile.TemporaryDirectory(prefix="mailpush-postfix-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        for each in ("queue", "data"):
            (folder / each).mkdir()
        shutil.chown(folder / "data", "postfix")
        (port,) = free_ports(1)
        (folder / "main.cf").write_text(MAIN.format(folder=folder))
        (folder / "master.cf").write_text(MASTER.format(port=f"{HOST}:{port}"))
        with (folder / "output.log").open("wb") as log:
            process = subprocess.Popen([PROGRAM, "-c", str(folder), "start-fg"], stdout=log, stderr=log)  # noqa: S603
        try:
            wait_for_port(port)
            yield port
        finally:
            _stop(folder, process)


def _stop(folder: Path, process: subprocess.Popen[bytes]) -> None:
    subprocess.run([PROGRAM, "-c", str(folder), "stop"], check=False, capture_output=True)  # noqa: S603
    process.terminate()
    process.wait(STOPS_WITHIN)
