"""A Postfix of one's own: an instance below a folder on a port of loopback; the distribution's is not touched."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mailpush.runtime.benchmarks.peers.feeding import program, server
from mailpush.runtime.benchmarks.peers.peer import Unable
from mailpush.runtime.benchmarks.processes import wait_for_port
from mailpush.runtime.benchmarks.throwaway import HOST, free_ports

MAIN = """
compatibility_level = 3.6
command_directory = /usr/sbin
daemon_directory = /usr/lib/postfix/sbin
queue_directory = {folder}/queue
data_directory = {folder}/data
maillog_file = {folder}/mail.log
maillog_file_prefixes = {folder}
mydestination =
alias_maps =
local_transport = error:no local mailboxes
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
mynetworks = 127.0.0.0/8
smtpd_peername_lookup = no
"""
MASTER = """
{port} inet n - n - - smtpd
cleanup unix n - n - 0 cleanup
qmgr unix n - n 300 1 qmgr
tlsmgr unix - - n 1000? 1 tlsmgr
rewrite unix - - n - - trivial-rewrite
proxymap unix - - n - - proxymap
bounce unix - - n - 0 bounce
defer unix - - n - 0 bounce
trace unix - - n - 0 bounce
smtp unix - - n - - smtp
relay unix - - n - - smtp
virtual unix - n n - - virtual
discard unix - - n - - discard
error unix - - n - - error
retry unix - - n - - error
anvil unix - - n - 1 anvil
scache unix - - n - 1 scache
postlog unix-dgram n - n - 1 postlogd
"""
QUEUES = (
    *("active", "bounce", "corrupt", "defer", "deferred", "flush", "hold", "incoming"),
    *("private", "saved", "trace"),
)


@contextmanager
def running(folder: Path, settings: str) -> Iterator[int]:
    """Have an instance with these lines of main.cf for the length of the block; yield its port.

    :raises Unable: it cannot be started here.
    """
    if os.geteuid():
        raise Unable("Postfix starts only as root")
    postfix = program("postfix")
    (port,) = free_ports(1)
    lay_out(folder, port, settings)
    try:
        with server(in_foreground(postfix, folder), folder, lambda: wait_for_port(port)):
            yield port
    finally:
        stop(postfix, folder)


def lay_out(folder: Path, port: int, settings: str) -> None:
    """Make the instance's files, as root, in a folder that everybody may pass through."""
    for name in ("queue", "queue/pid", "data"):
        (folder / name).mkdir(parents=True)
    shutil.chown(folder / "data", "postfix")
    _lay_out_queue(folder / "queue")
    main = folder / "main.cf"
    main.write_text(MAIN.format(folder=folder) + settings)
    os.utime(main, (0, 0))  # Postfix waits seconds for a file that somebody may still be writing
    (folder / "master.cf").write_text(MASTER.format(port=f"{HOST}:{port}"))


def in_foreground(postfix: str, folder: Path) -> list[str]:
    """Return the command that runs it."""
    return [postfix, "-c", str(folder), "start-fg"]


def stop(postfix: str, folder: Path) -> None:
    subprocess.run([postfix, "-c", str(folder), "stop"], check=False, capture_output=True)  # noqa: S603 a fixed command


def _lay_out_queue(queue: Path) -> None:
    """Make the folders with their owners, so that Postfix need not look after them for seconds."""
    for name in QUEUES:
        (queue / name).mkdir(0o700)
        shutil.chown(queue / name, "postfix")
    for name, mode in (("maildrop", 0o730), ("public", 0o710)):
        (queue / name).mkdir()
        (queue / name).chmod(mode)
        shutil.chown(queue / name, "postfix", "postdrop")
    (queue / "quick-start").touch()
