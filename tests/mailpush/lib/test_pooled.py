"""What a restart of the database leaves in the pool."""

import threading

import psycopg
import pytest
from django.db import connection

IDLE = 6


def in_threads(work, count):
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


@pytest.mark.django_db(transaction=True)
def test_dead_connections_are_not_tried_one_by_one():
    together = threading.Barrier(IDLE)
    found = []

    def use(meeting=together):
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
            found.extend(cursor.fetchall())
            if meeting:
                meeting.wait(30)
        connection.close()

    in_threads(use, IDLE)
    pool = connection.pool
    before = pool.get_stats()
    address = {key: value for key, value in connection.get_connection_params().items() if key in PLACE}
    with psycopg.connect(**address, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )
    connection.close()
    in_threads(lambda: use(None), 1)

    lost = pool.get_stats().get("connections_lost", 0) - before.get("connections_lost", 0)
    assert before["pool_available"] >= IDLE - 1
    assert found == [(1,)] * (IDLE + 1)
    assert lost <= 2  # the one that was tried, and ours


PLACE = {"dbname", "host", "port", "user", "password"}
