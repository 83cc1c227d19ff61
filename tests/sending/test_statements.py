"""Statements over a connection of an event loop."""

import asyncio

import pytest
import uvloop
from django.db import DataError, IntegrityError, NotSupportedError, OperationalError, connection

from mailpush.lib.threads import in_thread
from sending.statements import Line

pytestmark = pytest.mark.django_db(transaction=True)

ECHO = "SELECT %(value)s::text, length(%(value)s::text)"
DIVIDE = "SELECT 1 / %(divisor)s::int"
LONG = "SELECT pg_sleep(60)"
END_LONG = f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE query = '{LONG}'"
PLACE = "INSERT INTO place (id, parent) VALUES (%(id)s::int, %(parent)s::int) RETURNING id"


@pytest.fixture
def places():
    """A table whose rows need a parent when they are committed, as Django's foreign keys do."""
    with connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE place (id int PRIMARY KEY, parent int REFERENCES place DEFERRABLE INITIALLY DEFERRED)"
        )
    yield lambda: _selected("SELECT id FROM place ORDER BY id")
    with connection.cursor() as cursor:
        cursor.execute("DROP TABLE place")


def _selected(statement):
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.fetchall()


def over_a_line(work):
    """Run `await work(line)` in a loop as the doors have it."""

    async def run():
        line = Line()
        try:
            return await work(line)
        finally:
            await line.close()

    return uvloop.run(run())


def test_many_asked_at_once_get_their_own_rows():
    async def work(line):
        return await asyncio.gather(*(line.executed(ECHO, {"value": "x" * n}) for n in range(50)))

    assert over_a_line(work) == [[("x" * n, n)] for n in range(50)]


def test_more_than_the_socket_holds_goes_through():
    """Each of them is larger than its buffers, and so is what comes back."""
    values = [letter * 3_000_000 for letter in "abcd"]

    async def work(line):
        return await asyncio.gather(*(line.executed(ECHO, {"value": value}) for value in values))

    assert over_a_line(work) == [[(value, 3_000_000)] for value in values]


def test_one_fails_alone():
    async def work(line):
        return await asyncio.gather(
            *(line.executed(DIVIDE, {"divisor": divisor}) for divisor in (1, 0, -1)), return_exceptions=True
        )

    first, second, third = over_a_line(work)

    assert (first, third) == ([(1,)], [(-1,)])
    assert isinstance(second, DataError)


def test_what_fails_at_its_commit_has_failed(places):
    async def work(line):
        return await asyncio.gather(
            *(line.executed(PLACE, {"id": pk, "parent": parent}) for pk, parent in ((1, None), (2, 99), (3, 1))),
            return_exceptions=True,
        )

    first, second, third = over_a_line(work)

    assert (first, third) == ([(1,)], [(3,)])
    assert isinstance(second, IntegrityError)
    assert places() == [(1,), (3,)]


def test_a_value_that_cannot_be_sent_holds_up_nobody():
    async def work(line):
        return await asyncio.gather(
            *(line.executed(ECHO, {"value": value}) for value in ("a", "b\0", "c")), return_exceptions=True
        )

    first, second, third = over_a_line(work)

    assert (first, third) == ([("a", 1)], [("c", 1)])
    assert isinstance(second, DataError)


def test_a_table_that_has_changed_is_looked_at_anew(places):
    async def work(line):
        everything = "SELECT * FROM place"
        await line.executed(everything, {})
        await in_thread(_add_column)
        with pytest.raises(NotSupportedError, match="cached plan"):
            await line.executed(everything, {})
        return await line.executed(everything, {})

    assert over_a_line(work) == []


def _add_column():
    with connection.cursor() as cursor:
        cursor.execute("ALTER TABLE place ADD COLUMN name text")


def test_a_server_that_goes_away_is_noticed_and_found_again():
    async def work(line):
        await line.executed(ECHO, {"value": "before"})
        asked = asyncio.gather(
            line.executed(LONG, {}), line.executed(ECHO, {"value": "behind"}), return_exceptions=True
        )
        while not await in_thread(_selected, END_LONG):
            pass
        return await asked, await line.executed(ECHO, {"value": "again"})

    lost, again = over_a_line(work)

    assert [type(problem) for problem in lost] == [OperationalError, OperationalError]
    assert again == [("again", 5)]


def test_who_stops_waiting_holds_up_nobody():
    async def work(line):
        gone = asyncio.ensure_future(line.executed("SELECT pg_sleep(0.2)", {}))
        await asyncio.sleep(0.1)
        gone.cancel()
        return await line.executed(ECHO, {"value": "here"})

    assert over_a_line(work) == [("here", 4)]
