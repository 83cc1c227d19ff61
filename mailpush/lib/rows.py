"""Reads that every call makes, as SQL written once.

A query set puts its SQL together anew each time, which takes longer than PostgreSQL takes to answer.
"""

from functools import cached_property
from typing import Any

from django.db import connection, models


class Joined:
    """One row of several joined models, as an instance of each: `{a}` in the SQL stands for the columns of `a`."""

    def __init__(self, sql: str, **of: type[models.Model]) -> None:
        self._sql, self._models = sql, of

    def first(self, *parameters: Any) -> tuple[Any, ...] | None:
        """Return the instances of the first row, in the order in which the models were given."""
        with connection.cursor() as cursor:
            cursor.execute(self._written, parameters)
            row = cursor.fetchone()
        if row is None:
            return None
        found, at = [], 0
        for model, names in self._names:
            found.append(model.from_db("default", names, row[at : at + len(names)]))
            at += len(names)
        return tuple(found)

    @cached_property
    def _names(self) -> list[tuple[type[models.Model], list[str]]]:
        return [(model, [field.attname for field in _fields(model)]) for model in self._models.values()]

    @cached_property
    def _written(self) -> str:
        columns = {
            alias: ", ".join(f'{alias}."{field.column}"' for field in _fields(model))
            for alias, model in self._models.items()
        }
        return self._sql.format(**columns)


def _fields(model: type[models.Model]) -> Any:
    return model._meta.concrete_fields  # noqa: SLF001 - Django documents it
