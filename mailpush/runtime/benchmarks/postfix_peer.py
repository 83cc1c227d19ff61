"""A peer of the submission door: Postfix, accepting into its queue on the disk and then throwing away."""

from collections.abc import Iterator
from contextlib import contextmanager

from mailpush.runtime.benchmarks import own_postfix
from mailpush.runtime.benchmarks.peers.peer import open_folder

SETTINGS = """
myhostname = peer.example
default_transport = discard:
smtpd_client_connection_count_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
"""


@contextmanager
def running() -> Iterator[int]:
    """Have it for the length of the block; yield its port.

    :raises Unable: it cannot be started here.
    """
    with open_folder() as folder, own_postfix.running(folder, SETTINGS) as port:
        yield port
