"""Locks between processes on one data folder: they die with the process that holds them."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL = 0.1  # seconds


class Locked(Exception):
    """Another process holds the lock."""


class FileLock:
    """An advisory lock on a file, shared or exclusive; not inherited by child processes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def take(self, *, shared: bool = False, patience: float = 0) -> None:
        """Take the lock, or change between shared and exclusive.

        :raises Locked: when others still hold it after `patience` seconds.
        """
        mode = (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB
        end = time.monotonic() + patience
        while True:
            try:
                fcntl.flock(self._file, mode)
            except BlockingIOError:
                if time.monotonic() >= end:
                    raise Locked from None
                time.sleep(POLL)
            else:
                return

    def close(self) -> None:
        os.close(self._file)


@contextmanager
def locked(path: Path, *, shared: bool = False, patience: float = 0) -> Iterator[FileLock]:
    """Hold the lock for the length of the block.

    :raises Locked: when others still hold it after `patience` seconds.
    """
    lock = FileLock(path)
    try:
        lock.take(shared=shared, patience=patience)
        yield lock
    finally:
        lock.close()


def is_locked(path: Path) -> bool:
    try:
        with locked(path, shared=True):
            return False
    except Locked:
        return True
