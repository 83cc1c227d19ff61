"""The pretend internet's memory: DNS records that were published, mails that arrived.

SQLite beside the application's database, because it is not the application's: it stands for the outside world.
Written by the pages (records) and the sink (mails), read by the name server and the pages, each in its own process.
"""

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from dns.rdtypes.ANY.TXT import TXT

KEPT_MAILS = 5000  # the newest; all are counted
RECORD_TYPES = ("A", "AAAA", "CNAME", "MX", "TXT")
TTL = 30  # seconds; a change is seen soon
WAITS = 10.0  # seconds for another process's write

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    ttl INTEGER NOT NULL,
    UNIQUE (name, type, value)
);
CREATE TABLE IF NOT EXISTS mails (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    received_at REAL NOT NULL,
    mail_from TEXT NOT NULL,
    rcpt_to TEXT NOT NULL,
    subject TEXT NOT NULL,
    client_ip TEXT NOT NULL,
    is_encrypted INTEGER NOT NULL,
    size INTEGER NOT NULL,
    raw BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, count INTEGER NOT NULL);
"""


class BadRecord(ValueError):
    """Name, type or value cannot stand in DNS."""


@dataclass(frozen=True, slots=True)
class Record:
    """One published record, its value as a zone file writes it."""

    name: str  # lower case, no dot at the end
    type: str
    value: str
    ttl: int = TTL


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail for one recipient, as it arrived."""

    received_at: float
    mail_from: str
    rcpt_to: str
    subject: str
    client_ip: str
    is_encrypted: bool
    size: int
    raw: bytes = b""  # left out in lists
    id: int = 0

    @property
    def time(self) -> datetime:
        return datetime.fromtimestamp(self.received_at, UTC)


class World:
    """The outside world, kept in one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        with self._open() as file:
            file.execute("PRAGMA journal_mode = WAL")
            file.executescript(SCHEMA)

    # Records

    def publish(self, name: str, kind: str, value: str) -> Record:
        """Publish a record; one that is there already stays.

        :raises BadRecord: when it could not stand in DNS.
        """
        record = Record(clean_name(name), kind.upper(), value.strip())
        to_rdata(record)
        with self._open() as file:
            file.execute(
                "INSERT OR IGNORE INTO records (name, type, value, ttl) VALUES (?, ?, ?, ?)",
                (record.name, record.type, record.value, record.ttl),
            )
        return record

    def withdraw(self, name: str, kind: str, value: str | None = None) -> int:
        """Withdraw one record, or all of a type; return how many there were."""
        with self._open() as file:
            return file.execute(
                "DELETE FROM records WHERE name = ? AND type = ? AND (value = ? OR ? IS NULL)",
                (clean_name(name), kind.upper(), value, value),
            ).rowcount

    def records(self, name: str = "", *, containing: str = "") -> list[Record]:
        """Return the records of a name, or of every name, or of every name with these letters in it."""
        with self._open() as file:
            rows = file.execute(
                "SELECT name, type, value, ttl FROM records"
                " WHERE (? = '' OR name = ?) AND instr(name, ?) > 0 ORDER BY name, type, id",
                (name, clean_name(name) if name else "", containing.lower()),
            )
            return [Record(*row) for row in rows]

    # Mails

    def capture(self, mails: Sequence[Mail]) -> None:
        """Keep mails that arrived, in one commit; the oldest make room."""
        with self._open() as file:
            file.execute("BEGIN IMMEDIATE")
            self._count(file, "mails", len(mails))
            file.executemany(
                "INSERT INTO mails (received_at, mail_from, rcpt_to, subject, client_ip, is_encrypted, size, raw)"
                " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                (
                    (m.received_at, m.mail_from, m.rcpt_to, m.subject, m.client_ip, m.is_encrypted, m.size, m.raw)
                    for m in mails[-KEPT_MAILS:]
                ),
            )
            file.execute("DELETE FROM mails WHERE id <= (SELECT max(id) FROM mails) - ?", (KEPT_MAILS,))
            file.execute("COMMIT")

    def mails(self, *, search: str = "", limit: int = 50, offset: int = 0) -> list[Mail]:
        """Return mails without their content, newest first; `search` looks in recipient and subject."""
        with self._open() as file:
            rows = file.execute(
                "SELECT received_at, mail_from, rcpt_to, subject, client_ip, is_encrypted, size, x'', id FROM mails"
                " WHERE ? = '' OR instr(lower(rcpt_to), ?) > 0 OR instr(lower(subject), ?) > 0"
                " ORDER BY id DESC LIMIT ? OFFSET ?",
                (search, search.lower(), search.lower(), limit, offset),
            )
            return [_mail(row) for row in rows]

    def mail(self, pk: int) -> Mail | None:
        with self._open() as file:
            row = file.execute(
                "SELECT received_at, mail_from, rcpt_to, subject, client_ip, is_encrypted, size, raw, id FROM mails"
                " WHERE id = ?",
                (pk,),
            ).fetchone()
            return _mail(row) if row else None

    def mail_count(self) -> int:
        """Return how many mails ever arrived."""
        with self._open() as file:
            row = file.execute("SELECT count FROM counters WHERE name = 'mails'").fetchone()
            return int(row[0]) if row else 0

    @staticmethod
    def _count(file: sqlite3.Connection, name: str, count: int) -> None:
        file.execute(
            "INSERT INTO counters (name, count) VALUES (?, ?)"
            " ON CONFLICT (name) DO UPDATE SET count = count + excluded.count",
            (name, count),
        )

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        """Open the file for one operation: connections do not travel between threads."""
        file = sqlite3.connect(self._path, timeout=WAITS, isolation_level=None)
        try:
            file.execute("PRAGMA synchronous = NORMAL")
            yield file
        finally:
            file.close()


def clean_name(name: str) -> str:
    """Return the name as the world keeps it: A-labels in lower case, without the dot at the end.

    :raises BadRecord: when it is no domain name.
    """
    try:
        return dns.name.from_text(name.strip()).to_text(omit_final_dot=True).lower()
    except (dns.exception.DNSException, UnicodeError) as error:
        raise BadRecord(f"{name!r} is no domain name.") from error


def to_rdata(record: Record) -> dns.rdata.Rdata:
    """Return the record as the wire carries it.

    Text may be given as people paste it, without quotes; it is cut into strings of 255 bytes.
    :raises BadRecord: when type or value cannot stand in DNS.
    """
    if record.type not in RECORD_TYPES:
        raise BadRecord(f"{record.type} records are not known here, only {', '.join(RECORD_TYPES)}.")
    try:
        if record.type == "TXT" and not record.value.startswith('"'):
            text = record.value.encode()
            return TXT(dns.rdataclass.IN, dns.rdatatype.TXT, list(_cut(text)))
        return dns.rdata.from_text(
            dns.rdataclass.IN, dns.rdatatype.from_text(record.type), record.value, dns.name.root, relativize=False
        )
    except (dns.exception.DNSException, ValueError) as error:
        raise BadRecord(f"{record.value!r} is no value for a {record.type} record.") from error


def _cut(text: bytes) -> Iterable[bytes]:
    for start in range(0, max(len(text), 1), 255):
        yield text[start : start + 255]


def _mail(row: Sequence[object]) -> Mail:
    return Mail(*row)  # type: ignore[arg-type]
