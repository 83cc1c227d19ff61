"""The servers tests talk to: an embedded PostgreSQL and Valkey of their own, unless addresses are given.

They start with the first test that needs them and stop at the end; what they held goes with them.
"""

import os
import shutil
import signal
from datetime import UTC, datetime

import pytest
from django.conf import settings

from mailpush.runtime.borrowing import configured, start, stop, wait_until_ready
from mailpush.runtime.embedded import Postgres

# Nothing of a test run has to survive a power cut.
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}

# Processes that tests start are not test runs themselves: they must not find the developer's own data.
GIVEN_FOLDER = os.environ.get("MAILPUSH_DATA_DIR")
os.environ["MAILPUSH_DATA_DIR"] = str(settings.MAILPUSH_DATA_DIR)


def pytest_unconfigure(config):
    if not GIVEN_FOLDER:
        shutil.rmtree(settings.MAILPUSH_DATA_DIR, ignore_errors=True)


@pytest.fixture(scope="session")
def servers():
    """PostgreSQL and Valkey, answering."""
    servers = configured()
    for server in servers:
        if isinstance(server, Postgres):
            server.options = UNSAFE_BUT_FAST
            server.stop_signal = signal.SIGQUIT  # at once: there is nothing to save
    started = [(server, start(server, settings.PLACES)) for server in servers]
    for server, process in started:
        wait_until_ready(server, process)
    yield
    for server, process in started:
        stop(server)
        process.wait()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers):
    """Whoever needs the database needs its server."""


@pytest.fixture(scope="session", autouse=True)
def _places_exist():
    """Whitenoise warns of a folder that is missing."""
    settings.PLACES.static.mkdir(parents=True, exist_ok=True)


@pytest.fixture
def now():
    return datetime(2026, 11, 2, 9, 30, tzinfo=UTC)  # a Monday
