"""What was accepted, on the disk before the sender hears of it."""

import asyncio
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from pathlib import Path

MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)


class Books:
    """An append-only file, a line for each recipient of each mail; many mails share one flush."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines: list[bytes] = []
        self._waiting: list[Callable[[], None]] = []
        self._flush: asyncio.Task[None] | None = None

    def enter(self, content: bytes, recipients: Iterable[str], then: Callable[[], None]) -> None:
        """Write a mail down and call `then` when it is on the disk."""
        found = MESSAGE_ID.search(content.partition(b"\r\n\r\n")[0])
        message_id = found[1].decode(errors="replace") if found else ""
        now = time.time()
        self._lines += [json.dumps([now, message_id, recipient]).encode() + b"\n" for recipient in recipients]
        self._waiting.append(then)
        if self._flush is None:
            self._flush = asyncio.get_running_loop().create_task(self._write())

    async def _write(self) -> None:
        while self._waiting:
            octets, self._lines = b"".join(self._lines), []
            waiting, self._waiting = self._waiting, []
            await asyncio.to_thread(self._to_disk, octets)
            for then in waiting:
                then()
        self._flush = None

    def _to_disk(self, octets: bytes) -> None:
        os.write(self._file, octets)
        os.fsync(self._file)
