"""Statements that run thousands of times a second: prepared by the server, their parameters bound there.

Django writes parameters into the text of a statement, which the server then reads each time. It still plans each time:
a plan made for a table of a hundred rows would read all of it, and go on doing so when there are a million.
"""

import asyncio
import functools
import re
import select
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import psycopg
from django.db import connection
from psycopg.adapt import PyFormat, Transformer
from psycopg.pq import ExecStatus
from psycopg.pq.abc import PGresult
from psycopg.types.json import Jsonb

Row = tuple[Any, ...]

PARAMETER = re.compile(r"%\((\w+)\)s")

_dumps = functools.partial(orjson.dumps, default=str)


def executed(statement: str, parameters: Mapping[str, Any]) -> list[Row]:
    """Run a statement on Django's connection and return its rows."""
    text, names = _numbered(statement)
    connection.ensure_connection()
    with connection.wrap_database_errors, psycopg.RawCursor(connection.connection) as cursor:
        if connection.connection.prepare_threshold is None:  # Django leaves it off; its own cursors never do it
            cursor.execute("SET plan_cache_mode = force_custom_plan")
            connection.connection.prepare_threshold = 1
        cursor.execute(text, [parameters[name] for name in names], prepare=True)
        return cursor.fetchall() if cursor.description else []


def document(rows: list[dict[str, Any]]) -> Jsonb:
    """Return many rows as one parameter, for `jsonb_to_recordset`: a list for each column costs ten times that."""
    return Jsonb(rows, _dumps)


@functools.cache
def _numbered(statement: str) -> tuple[bytes, list[str]]:
    """Return the statement with the server's own placeholders, and the names of their values in order.

    The driver would look for the named ones in a long statement each time it is run.
    """
    names = list(dict.fromkeys(PARAMETER.findall(statement)))
    return PARAMETER.sub(lambda found: f"${names.index(found[1]) + 1}", statement).encode(), names


class Line:
    """A connection that belongs to an event loop, for statements that need not wait for each other's answers.

    Threads beside a loop that is busy take turns with it at every step, which costs as much as the work itself.
    Its statements look each row up by an index, so they are planned once, for tables of any size.
    """

    CONNECTS_WITHIN = 30  # seconds

    def __init__(self) -> None:
        self._pipeline: _Pipeline | None = None
        self._opening = asyncio.Lock()
        self._django_errors = connection.wrap_database_errors  # kept: finding Django's connection is slow in a loop

    async def executed(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """Run a statement in a transaction of its own and return its rows; those asked earlier are run before it."""
        text, names = _numbered(statement)
        with self._django_errors:
            pipeline = await self._open()
            return await pipeline.executed(text, [parameters[name] for name in names])

    async def close(self) -> None:
        async with self._opening:
            if self._pipeline:
                self._pipeline.end()

    async def _open(self) -> "_Pipeline":
        async with self._opening:
            if self._pipeline is None or self._pipeline.is_ending:
                ours = {"autocommit": True, "cursor_factory": psycopg.AsyncCursor}
                given = {"connect_timeout": self.CONNECTS_WITHIN, **connection.get_connection_params()}
                opened = await psycopg.AsyncConnection.connect(**{**given, **ours})
                await opened.execute("SET plan_cache_mode = force_generic_plan")
                await opened.execute("SET enable_seqscan = off")
                self._pipeline = _Pipeline(opened)
            return self._pipeline


class _Pipeline:
    """A connection in libpq's pipeline mode: the server has its next statement at hand when it has ended one.

    Each is followed by a synchronisation point, so each is a transaction and fails alone.
    """

    def __init__(self, connection: psycopg.AsyncConnection[Any]) -> None:
        self.is_ending = False  # it takes no statement any more
        self._is_closed = False
        self._connection = connection  # kept: the server's side ends with it
        self._server = connection.pgconn
        self._socket = self._server.socket
        self._input = select.poll()
        self._input.register(self._socket, select.POLLIN)
        self._is_writing = False
        self._values = Transformer(connection)
        self._prepared: dict[tuple[bytes, tuple[int, ...]], bytes] = {}
        self._asked: deque[_Asked] = deque()
        self._loop = asyncio.get_running_loop()
        self._server.enter_pipeline_mode()
        self._loop.add_reader(self._socket, self._look)

    async def executed(self, text: bytes, values: Sequence[Any]) -> list[Row]:
        """Run a statement and return its rows once its transaction has been committed.

        :raises psycopg.Error: it has not, or nobody knows.
        """
        try:
            self._send(text, values)
            self._flush()
        except psycopg.OperationalError as problem:
            self._lose(problem)
            raise
        asked = _Asked(self._loop.create_future())
        self._asked.append(asked)
        return await asked.rows

    def end(self) -> None:
        """Close the connection once what is on its way has been answered."""
        self.is_ending = True
        self._close_if_done()

    def _send(self, text: bytes, values: Sequence[Any]) -> None:
        octets = self._values.dump_sequence(values, [PyFormat.AUTO] * len(values))
        types = self._values.types or ()
        name = self._prepared.get((text, types))
        if name is None:
            name = self._prepared[text, types] = b"statement-%d" % len(self._prepared)
            self._server.send_prepare(name, text, types)
        self._server.send_query_prepared(name, octets, self._values.formats)
        self._server.pipeline_sync()

    def _flush(self) -> None:
        """Write what the socket takes, and the rest when it takes more."""
        if self._server.flush():
            self._loop.add_writer(self._socket, self._look)
            self._is_writing = True
        elif self._is_writing:
            self._loop.remove_writer(self._socket)
            self._is_writing = False

    def _look(self) -> None:
        """Do what the socket is ready for; all of it, as uvloop tells but once of one with an error."""
        try:
            if self._is_writing:
                self._flush()
            while self._input.poll(0):
                self._server.consume_input()
                while self._asked and not self._server.is_busy():
                    self._note(self._server.get_result())
        except psycopg.OperationalError as problem:
            self._lose(problem)
        self._close_if_done()

    def _note(self, result: PGresult | None) -> None:
        """Note what the server says of the first statement that is on its way; its commit may fail after its rows."""
        if result is None:  # between two results
            return
        match result.status:
            case ExecStatus.TUPLES_OK:
                self._values.set_pgresult(result)
                self._asked[0].found = self._values.load_rows(0, result.ntuples, tuple)
            case ExecStatus.FATAL_ERROR:
                self._asked[0].problem = psycopg.errors.error_from_result(result)
            case ExecStatus.PIPELINE_SYNC:
                self._answer(self._asked.popleft())

    def _answer(self, asked: "_Asked") -> None:
        if asked.problem and not isinstance(asked.problem, psycopg.DataError | psycopg.IntegrityError):
            self.is_ending = True  # a plan that does not fit the tables any more would never do so
        if asked.rows.done():  # nobody waits any more
            return
        if asked.problem:
            asked.rows.set_exception(asked.problem)
        else:
            asked.rows.set_result(asked.found)

    def _lose(self, problem: psycopg.Error) -> None:
        for asked in self._asked:
            if not asked.rows.done():
                asked.rows.set_exception(asked.problem or problem)
        self._asked.clear()
        self.end()

    def _close_if_done(self) -> None:
        if not self.is_ending or self._asked or self._is_closed:
            return
        self._is_closed = True
        self._loop.remove_reader(self._socket)
        self._loop.remove_writer(self._socket)
        self._server.finish()


@dataclass(slots=True)
class _Asked:
    """A statement that is on its way, and what the server has said of it."""

    rows: asyncio.Future[list[Row]]
    found: list[Row] = field(default_factory=list)
    problem: psycopg.Error | None = None
