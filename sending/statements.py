"""Statements that run thousands of times a second: prepared by the server, their parameters bound there.

Django writes parameters into the text of a statement, which the server then reads each time. It still plans each time:
a plan made for a table of a hundred rows would read all of it, and go on doing so when there are a million.
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
    with connection.wrap_database_errors, psycopg.Cursor(connection.connection) as cursor:
        if connection.connection.prepare_threshold is None:  # Django leaves it off; its own cursors never do it
            cursor.execute("SET plan_cache_mode = force_custom_plan")
            connection.connection.prepare_threshold = 1
        cursor.execute(statement, parameters, prepare=True)
        return cursor.fetchall() if cursor.description else []


def document(rows: list[dict[str, Any]]) -> Jsonb:
    """Return many rows as one parameter, for `jsonb_to_recordset`: a list for each column costs ten times that."""
    return Jsonb(rows, _dumps)
