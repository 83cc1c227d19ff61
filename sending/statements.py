"""Statements that run thousands of times a second: prepared by the server, their parameters bound there.

Django writes parameters into the text of a statement, which the server then reads each time. It still plans each time:
a plan made for a table of a hundred rows would read all of it, and go on doing so when there are a million.
"""

import functools
import re
import time
from collections.abc import Mapping
from typing import Any

import orjson
import psycopg
from django.db import DataError, IntegrityError, connection
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
    """A connection that belongs to an event loop, for one statement at a time.

    Threads beside a loop that is busy take turns with it at every step, which costs as much as the work itself.
    Its statements look each row up by an index, so they are planned once, for tables of any size.
    """

    LOOKED_AT_AFTER = 1.0  # seconds of rest: is the server still there?
    CONNECTS_WITHIN = 30  # seconds

    def __init__(self) -> None:
        self._connection: psycopg.AsyncConnection[Any] | None = None
        self._used_at = 0.0
        self._django_errors = connection.wrap_database_errors  # kept: finding Django's connection is slow in a loop

    async def executed(self, statement: str, parameters: Mapping[str, Any]) -> list[Row]:
        """Run a statement in a transaction of its own and return its rows."""
        text, names = _numbered(statement)
        try:
            with self._django_errors:
                async with psycopg.AsyncRawCursor(await self._open()) as cursor:
                    await cursor.execute(text, [parameters[name] for name in names], prepare=True)
                    return await cursor.fetchall()
        except (DataError, IntegrityError):
            raise
        except BaseException:
            await self.close()
            raise
        finally:
            self._used_at = time.monotonic()

    async def close(self) -> None:
        line, self._connection = self._connection, None
        if line:
            await line.close()

    async def _open(self) -> psycopg.AsyncConnection[Any]:
        if self._connection and time.monotonic() - self._used_at > self.LOOKED_AT_AFTER:
            try:
                await self._connection.execute("SELECT 1")
            except psycopg.OperationalError:
                await self.close()
        if self._connection is None:
            ours = {"autocommit": True, "prepare_threshold": 1, "cursor_factory": psycopg.AsyncCursor}
            given = {"connect_timeout": self.CONNECTS_WITHIN, **connection.get_connection_params()}
            self._connection = await psycopg.AsyncConnection.connect(**{**given, **ours})
            await self._connection.execute("SET plan_cache_mode = force_generic_plan")
            await self._connection.execute("SET enable_seqscan = off")
        return self._connection
