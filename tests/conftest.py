"""The servers tests talk to: an embedded PostgreSQL and Valkey of their own, unless addresses are given.

They start with the first test that needs them and stop at the end; what they held goes with them. Each process of a
run has its own.
"""

import json
import os
import shutil
import signal
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from django.apps import apps
from django.conf import settings
from django.db.models.signals import post_migrate
from django.test import Client
from django.utils import translation

from accounts.actors import Actor
from accounts.models import Account, Membership, Role
from mailpush.runtime.borrowing import configured, stop, wait_until_ready
from mailpush.runtime.embedded import Postgres
from mailpush.runtime.processes import dies_with_parent, run_as
from sending.delivery import providers
from sending.models import Provider, ReplyRule
from tests.factories import AccessKeyFactory, AccountFactory, MembershipFactory

# Nothing of a test run has to survive a power cut.
UNSAFE_BUT_FAST = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "shared_buffers": "64MB"}

# Processes that tests start are not test runs themselves: they must not find the developer's own data.
GIVEN_FOLDER = os.environ.get("MAILPUSH_DATA_DIR")
os.environ["MAILPUSH_DATA_DIR"] = str(settings.MAILPUSH_DATA_DIR)

MOST_PROCESSES = 8  # the longest file takes longer than an eighth of all
LONG = ("tests/flows/", "tests/interop/", "tests/mailpush/runtime/")  # whole platforms and programs of others


def pytest_collection_modifyitems(items):
    """What takes long comes first, so that no process is left alone with it at the end."""
    items.sort(key=lambda item: not item.nodeid.startswith(LONG))


def pytest_xdist_auto_num_workers(config):
    """One process more than there are cores, as much of the time is waiting; a single file runs in this process."""
    if settings.DATABASE_URL or not settings.EMBEDDED_VALKEY:  # servers that are given have room for one
        return 0
    names = {argument.partition("::")[0] for argument in config.args}
    if len(names) == 1 and Path(*names).is_file():
        return 0
    return min(settings.PLACES.cores + 1, MOST_PROCESSES)


def pytest_xdist_setupnodes(config, specs):
    for spec in specs:
        spec.env["MAILPUSH_DATA_DIR"] = str(settings.MAILPUSH_DATA_DIR / spec.id)


def pytest_unconfigure(config):
    if not GIVEN_FOLDER:
        shutil.rmtree(settings.MAILPUSH_DATA_DIR, ignore_errors=True)


def start(server):
    """Start a server that ends with this process, whatever ends that: a run that is broken off kills it."""
    server.prepare()
    with (settings.MAILPUSH_DATA_DIR / f"{server.name}.log").open("ab") as log:
        return subprocess.Popen(
            server.command,
            cwd="/",
            **run_as(server.user),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            preexec_fn=dies_with_parent(server.stop_signal),  # noqa: PLW1509 no thread holds a lock here
        )


@pytest.fixture(scope="session")
def servers():
    """PostgreSQL and Valkey, answering."""
    servers = configured()
    for server in servers:
        if isinstance(server, Postgres):
            server.options = UNSAFE_BUT_FAST
            server.stop_signal = signal.SIGQUIT  # at once: there is nothing to save
    started = [(server, start(server)) for server in servers]
    for server, process in started:
        wait_until_ready(server, process)
    yield
    for server, process in started:
        stop(server)
        process.wait()


@pytest.fixture(scope="session")
def django_db_modify_db_settings(servers):
    """Whoever needs the database needs its server."""


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup, django_db_blocker):
    """What a migration has shipped is there again after each test that empties the database."""
    with django_db_blocker.unblock():
        providers.ship(Provider, ReplyRule)
        shipped = [(model, list(model.objects.all())) for model in (Provider, ReplyRule)]

    def put_back(**_signal):
        for model, rows in shipped:
            model.objects.bulk_create(rows, ignore_conflicts=True)

    post_migrate.connect(put_back, sender=apps.get_app_config("sending"), weak=False)  # emptying sends it, too


@pytest.fixture(scope="session", autouse=True)
def _places_exist():
    """Whitenoise warns of a folder that is missing."""
    settings.PLACES.static.mkdir(parents=True, exist_ok=True)


@pytest.fixture(autouse=True)
def _language_ends_with_the_test():
    """Django leaves the thread in the language of the last page that was asked for."""
    yield
    translation.deactivate()


@pytest.fixture
def now():
    return datetime(2026, 11, 2, 9, 30, tzinfo=UTC)  # a Monday


@pytest.fixture
def full_storage(settings, tmp_path):
    """Let storage take no file."""
    place = tmp_path / "a file where the folder should be"
    place.touch()
    options = {"BACKEND": "django.core.files.storage.FileSystemStorage", "OPTIONS": {"location": str(place)}}
    settings.STORAGES = {**settings.STORAGES, "default": options}


# ── Accounts, their members, and browsers logged in as them ──


class MemberClient(Client):
    """A browser in which a member is logged in."""

    membership: Membership
    account: Account
    actor: Actor


@pytest.fixture
def account(db: None) -> Account:
    return AccountFactory(name="Example Ltd")


@pytest.fixture
def member(account: Account) -> Callable[[Role], Membership]:
    """Make members of `account`."""
    return lambda role: MembershipFactory(account=account, role=role)


@pytest.fixture
def owner(member: Callable[[Role], Membership]) -> Membership:
    return member(Role.OWNER)


@pytest.fixture
def actor(owner: Membership) -> Actor:
    """The owner of `account`."""
    return Actor.member(owner)


@pytest.fixture
def stranger(db: None) -> Actor:
    """The owner of another account."""
    return Actor.member(MembershipFactory(account=AccountFactory(name="Strangers Inc")))


@pytest.fixture
def client_of() -> Callable[[Membership], MemberClient]:
    """Log members in."""

    def log_in(membership: Membership) -> MemberClient:
        client = MemberClient()
        client.force_login(membership.user)
        client.membership = membership
        client.account = membership.account
        client.actor = Actor.member(membership)
        return client

    return log_in


@pytest.fixture
def owner_client(owner: Membership, client_of: Callable[[Membership], MemberClient]) -> MemberClient:
    return client_of(owner)


# ── Programs ──


class Program(Client):
    """A program that calls the REST API with an access key of its own."""

    def __init__(self, account: Account, **key: Any) -> None:
        self.key = AccessKeyFactory(account=account, **key)
        token = f"Bearer {self.key.key_id}.{self.key.secret}"
        super().__init__(headers={"Authorization": token}, raise_request_exception=False)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Any:
        """Call `/api/v1/<path>` with a JSON body."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        data = "" if body is None else json.dumps(body)
        return self.generic(method, f"/api/v1/{path}", data, content_type="application/json", headers=named)


@pytest.fixture
def program(account: Account) -> Program:
    """May do everything in `account`."""
    return Program(account, role=Role.OWNER)


@pytest.fixture
def strange_program(stranger: Actor) -> Program:
    """May do everything in another account."""
    return Program(stranger.account, role=Role.OWNER)
