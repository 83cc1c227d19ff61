"""Statements that run thousands of times a second: prepared by the server, their parameters bound there.

Django writes parameters into the text of a statement, which the server then reads and plans each time.
"""

import functools
import json
from collections.abc import Mapping
from typing import Any

import psycopg
from django.db import connection
from psycopg.types.json import Jsonb

_dumps = functools.partial(json.dumps, default=str, ensure_ascii=False)


def executed(statement: str, parameters: Mapping[str, Any]) -> list[tuple[Any, ...]]:
    """Run a statement on Django's connection and return its rows."""
    connection.ensure_connection()
    connection.connection.prepare_threshold = 1  # Django switches preparing off; its own cursors never do it
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []


def document(rows: list[dict[str, Any]]) -> Jsonb:
    """Return many rows as one parameter, for `jsonb_to_recordset`: a list for each column costs ten times that."""
    return Jsonb(rows, _dumps)
