"""The outside world during the run: a mail server that is slow, forgetful and rude, but keeps exact books.

What becomes of a mail is told by how the recipient's local part begins:

| begins with | what happens                                                        |
|-------------|---------------------------------------------------------------------|
| `later`     | 451 at RCPT the first two times, then accepted                       |
| `busy`      | 450 at the end of DATA the first time, then accepted                 |
| `drop`      | the connection breaks at the end of DATA the first time, then accepted |
| `slow`      | accepted a second after the end of DATA                              |
| `gone`      | 550 5.1.1 at RCPT                                                    |
| `spam`      | 554 5.7.1 at the end of DATA                                         |
| `full`      | 452 4.2.2 at RCPT, whenever it is tried                              |
| else        | accepted                                                             |

A mail is in the log, on the disk, before its 250 leaves; nothing else is in there.
"""

import asyncio
import json
import os
import re
import sys
import time
from collections import Counter
from pathlib import Path

from mailpush.mail.door import Limits, Session
from mailpush.mail.envelope import Params
from mailpush.mail.replies import Reply
from mailpush.mail.server import listen
from mailpush.mail.wire import PeerGone

HOST = "127.0.0.1"
LIMITS = Limits(connections=5000, connections_per_ip=5000)
SLOW_SECONDS = 1.0
REFUSED_FIRST = {"later": 2, "busy": 1, "drop": 1}  # tries

OK = Reply(250, "2.1.0 OK")
TAKEN = Reply(250, "2.0.0 Accepted")
MESSAGE_ID = re.compile(rb"^message-id:[ \t]*(<[^>\r\n]+>)", re.IGNORECASE | re.MULTILINE)


class Books:
    """An append-only file of what was accepted; many mails share one flush."""

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._lines: list[bytes] = []
        self._flush: asyncio.Task[None] | None = None

    async def enter(self, message_id: str, recipient: str) -> None:
        """Return when the mail is on the disk."""
        self._lines.append(json.dumps([time.time(), message_id, recipient]).encode() + b"\n")
        while self._flush is not None and not self._flush.done():
            await asyncio.shield(self._flush)
        if self._lines:
            self._flush = asyncio.create_task(self._write())
            await asyncio.shield(self._flush)

    async def _write(self) -> None:
        octets, self._lines = b"".join(self._lines), []
        await asyncio.to_thread(self._to_disk, octets)

    def _to_disk(self, octets: bytes) -> None:
        os.write(self._file, octets)
        os.fsync(self._file)


class RudeSink:
    """The door (`mail.door.Door`)."""

    def __init__(self, books: Books) -> None:
        self._books = books
        self._tries: Counter[str] = Counter()

    async def connected(self, _session: Session) -> Reply | None:
        return None

    async def closed(self, _session: Session) -> None:
        return None

    async def auth(self, _session: Session, _user: str, _password: str) -> Reply | None:
        return Reply(502, "5.5.1 No login is needed here")

    async def mail(self, _session: Session, _mail_from: str, _params: Params) -> Reply:
        return OK

    async def rcpt(self, _session: Session, rcpt_to: str, _params: Params) -> Reply:
        match _fate(rcpt_to):
            case "gone":
                return Reply(550, "5.1.1 No such mailbox here")
            case "full":
                return Reply(452, "4.2.2 The mailbox is full")
            case "later" if self._is_refused(rcpt_to):
                return Reply(451, "4.3.0 Something is not right here, try again")
        return OK

    async def data(self, session: Session, content: bytes) -> Reply:
        assert session.envelope
        (recipient,) = (each.address for each in session.envelope.rcpts)
        match _fate(recipient):
            case "spam":
                return Reply(554, "5.7.1 The message looks like spam")
            case "busy" if self._is_refused(recipient):
                return Reply(450, "4.3.2 Too busy to store it now")
            case "drop" if self._is_refused(recipient):
                raise PeerGone
            case "slow":
                await asyncio.sleep(SLOW_SECONDS)
        found = MESSAGE_ID.search(content.partition(b"\r\n\r\n")[0])
        await self._books.enter(found[1].decode() if found else "", recipient)
        return TAKEN

    def _is_refused(self, recipient: str) -> bool:
        self._tries[recipient] += 1
        return self._tries[recipient] <= REFUSED_FIRST[_fate(recipient)]


def _fate(recipient: str) -> str:
    return recipient.partition("-")[0]


async def main(port: int, log: Path) -> None:
    """Serve until killed."""
    listener = await listen(RudeSink(Books(log)), HOST, port, hostname="sink.chaos.test", limits=LIMITS)
    await listener.server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
