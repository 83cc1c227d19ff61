"""Ports on loopback for servers that tests start."""

import secrets
import socket
from contextlib import suppress

HOST = "127.0.0.1"
# Below those that systems give to outgoing connections (from 32768 on Linux, 49152 elsewhere): between finding a port
# and listening on it, and while its server starts anew, nothing else gets it by chance.
PORTS = range(10_000, 32_000)


def free_port() -> int:
    """Return a port that nobody listens on; others who choose at the same time most likely choose another."""
    while True:
        with suppress(OSError), socket.create_server((HOST, secrets.choice(PORTS))) as taken:
            return int(taken.getsockname()[1])
