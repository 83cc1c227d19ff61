"""What a restart of the database leaves in the pool."""

import socket
import threading
from contextlib import suppress

import psycopg
import pytest
from django.db import connection
from psycopg_pool import ConnectionPool

from mailpush.lib.pooled import Connection

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


@pytest.mark.django_db(transaction=True)
def test_server_that_was_away_is_found_soon_after_its_return():
    """The front ends connections as a server does that is starting up, then lets them pass to the real one."""
    params = connection.get_connection_params()
    front = socket.create_server(("127.0.0.1", 0))

    def serve():
        for _ in range(6):
            front.accept()[0].close()
        with front.accept()[0] as client, server_socket(params) as server:
            back = threading.Thread(target=relay, args=(server, client))
            back.start()
            relay(client, server)
            back.join()

    serving = threading.Thread(target=serve, daemon=True)
    serving.start()
    address = {"dbname": params["dbname"], "user": params.get("user"), "password": params.get("password")}
    address |= {"host": "127.0.0.1", "port": front.getsockname()[1], "sslmode": "disable"}
    with (
        front,
        ConnectionPool(kwargs=address, connection_class=Connection, min_size=0, max_size=1) as pool,
        pool.connection(timeout=25) as found,  # the sixth pause of the pool's own alone is 32 seconds
    ):
        assert found.execute("SELECT 1").fetchone() == (1,)
    serving.join()


def server_socket(params):
    host, port = params["host"], int(params.get("port") or 5432)
    if not host.startswith("/"):
        return socket.create_connection((host, port))
    server = socket.socket(socket.AF_UNIX)
    server.connect(f"{host}/.s.PGSQL.{port}")
    return server


def relay(source, target):
    with suppress(OSError):
        while octets := source.recv(65_536):
            target.sendall(octets)
    with suppress(OSError):
        target.shutdown(socket.SHUT_WR)
