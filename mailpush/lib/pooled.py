"""Connections of the database pool that tell when the server has gone."""

from typing import Any

import psycopg


class Connection(psycopg.Connection[Any]):
    """A connection whose end ends those that lie in the pool beside it.

    A server that restarts leaves a pool of dead ones. The pool tries them one by one, with a pause that doubles each
    time: with six of them nobody would have a connection for a minute.
    """

    _pool: Any  # set by the pool

    def execute(self, *args: Any, **options: Any) -> psycopg.Cursor[Any]:
        """Run a statement; Django does that through cursors, so this is the pool's look whether the server is there."""
        try:
            return super().execute(*args, **options)
        except psycopg.OperationalError:
            if self._pool:
                self._pool.drain()
            raise
