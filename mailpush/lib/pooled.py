"""Connections of the database pool that tell when the server has gone, and are there again soon after it."""

import time
from typing import Any, Self

import psycopg
from django.db import connection

ASK_EVERY, ASK_FOR = 0.5, 30.0  # seconds, while the server is away


class Connection(psycopg.Connection[Any]):
    """A connection whose end ends those that lie in the pool beside it.

    A server that restarts leaves a pool of dead ones. The pool tries them one by one, with a pause that doubles each
    time: with six of them nobody would have a connection for a minute.
    """

    _pool: Any  # set by the pool

    @classmethod
    def connect(cls, *args: Any, **options: Any) -> Self:
        """Connect as soon as the server is there; the pool would ask again after 1, 2, 4, 8… seconds.

        :raises psycopg.OperationalError: it has been away for half a minute, or does not let us in.
        """
        end = time.monotonic() + ASK_FOR
        while True:
            try:
                return super().connect(*args, **options)
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(ASK_EVERY)

    def execute(self, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        """Run a statement; Django does that through cursors, so this is the pool's look whether the server is there."""
        try:
            return super().execute(*args, **options)
        except psycopg.OperationalError:
            if self._pool:
                self._pool.drain()
            raise


def must_answer(*, within: float) -> None:
    """Find out whether the database gives this thread a connection within so many seconds; the pool waits far longer.

    :raises django.db.OperationalError: it does not.
    """
    if connection.connection is None and (pool := getattr(connection, "pool", None)):
        with connection.wrap_database_errors:
            pool.putconn(pool.getconn(timeout=within))
