"""What all peers have in common."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mailpush.runtime.benchmarks.outside import Sink

WITHIN = 30.0  # seconds without a mail until a peer is given up


class Unable(Exception):
    """A peer cannot be measured here; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Job:
    """What a peer has to send: the same finished mail over and over, unsigned, to different recipients."""

    mail: bytes  # CRLF line ends
    domain: str
    selector: str
    key: bytes  # PEM, of the domain's DKIM key
    sender: str
    port: int  # of the sink
    sink: Sink
    processes: int
    folder: Path  # empty; everybody may pass through, as servers run as users of their own


@dataclass(frozen=True, slots=True)
class Peer:
    """`send` sends so many mails and returns the seconds from the first submission to the last mail at the sink."""

    name: str
    mails: int  # so that it takes 10 to 20 seconds on two cores
    send: Callable[[Job, int], float]
    is_fetched: bool = False  # comes over the network, so only when asked for


@contextmanager
def open_folder() -> Iterator[Path]:
    """Have a folder that other users may pass through; its path is short, as sockets want it."""
    with tempfile.TemporaryDirectory(prefix="mailpush-peer-", ignore_cleanup_errors=True) as name:
        Path(name).chmod(0o755)
        yield Path(name)
