"""What a start has to do first: asked in the process of `up`, so that a start with nothing to do is a quick one."""

from django.db import connection
from django.db.migrations.executor import MigrationExecutor

from mailpush.runtime.build import is_built

MIGRATE = ("migrate", "--no-input", "--verbosity", "0")
BUILD = ("build",)


def pending_steps() -> list[tuple[str, ...]]:
    """Return the commands that bring database and pages up to date; they may run side by side."""
    steps: list[tuple[str, ...]] = [] if _is_migrated() else [MIGRATE]
    return steps if is_built() else [*steps, BUILD]


def _is_migrated() -> bool:
    try:
        executor = MigrationExecutor(connection)
        return not executor.migration_plan(executor.loader.graph.leaf_nodes())
    finally:
        connection.close()
        # `up` itself has no more business with the database.
        connection.close_pool()  # type: ignore[attr-defined]
