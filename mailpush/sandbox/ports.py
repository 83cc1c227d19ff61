"""The ports of the sandbox's name server and mail sink: free ones, chosen at the first start and kept."""

import json
import socket
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path

HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class SandboxPorts:
    """Loopback ports; the name server has UDP and TCP on its own."""

    dns: int
    smtp: int

    @property
    def are_free(self) -> bool:
        return _is_free(self.dns, socket.SOCK_DGRAM) and all(
            _is_free(port, socket.SOCK_STREAM) for port in (self.dns, self.smtp)
        )


def kept_ports(path: Path) -> SandboxPorts:
    """Return the ports every process of this data folder uses, choosing them where nobody has yet."""
    try:
        return SandboxPorts(**json.loads(path.read_text()))
    except (FileNotFoundError, ValueError, TypeError):
        return choose_ports(path)


def choose_ports(path: Path) -> SandboxPorts:
    """Choose free ports and keep them."""
    ports = SandboxPorts(*_free_ports(2))
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(asdict(ports)))
    draft.replace(path)
    return ports


def _free_ports(count: int) -> list[int]:
    """Return ports free for UDP and TCP; all are held until the last is found, so that they differ."""
    with ExitStack() as held:
        ports: list[int] = []
        while len(ports) < count:
            stream = held.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
            stream.bind((HOST, 0))
            port = stream.getsockname()[1]
            if _is_free(port, socket.SOCK_DGRAM):
                ports.append(port)
        return ports


def _is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # as the servers do
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
