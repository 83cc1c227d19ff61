"""Thousands of reports brought by smtp-source while the processes that read them are killed."""

import os
import signal
import subprocess
import sys
import threading
import time
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.db import connection
from django.utils import timezone

from recipients.models import Suppression
from sending import return_path, tasks
from sending.models import Batch, Event, Message, Returned, Status
from tests.factories import BatchFactory, MessageFactory
from tests.interop.programs import program
from tests.ports import HOST, free_port
from tests.sending.returning import about

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(600)]

REPORTS = int(os.environ.get("FLOOD", "500"))
TWICE = 20  # reports of each message: one counts
KILLS = 8
LOOK_EVERY = 0.2  # seconds
SIDE_BY_SIDE = 4
PATIENCE = 300.0


def environment(mx_port):
    """Processes of this test's own database, not of the developer's."""
    url = urlsplit(settings.DATABASE_URL or settings.PLACES.postgres_url)
    return {
        **os.environ,
        "DATABASE_URL": url._replace(path=f"/{connection.settings_dict['NAME']}").geturl(),
        # Written differently, it is no embedded server to them, which the last command to leave would stop.
        "MAILPUSH_REDIS_URL": f"{settings.MAILPUSH_REDIS_URL}?db=0",
        "CELERY_BROKER_URL": settings.CELERY_BROKER_URL,
        "MAILPUSH_MX_BIND": f"{HOST}:{mx_port}",
        "MAILPUSH_ENCRYPTION_KEYS": ",".join(settings.MAILPUSH_ENCRYPTION_KEYS),
    }


class Workers:
    """Two workers of the background queue, one of which is killed again and again."""

    COMMAND = (sys.executable, "-m", "celery", "--app", "mailpush", "worker", "-Q", "background", "--pool", "solo")

    def __init__(self, env, folder) -> None:
        self._env, self._folder = env, folder
        self.kills = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self):
        self._thread.start()
        return self

    def __exit__(self, *_exc):
        self._over.set()
        self._thread.join()

    def _start(self, number):
        command = [*self.COMMAND, "-n", f"flood-{number}-{self.kills}@%h"]
        with (self._folder / f"worker-{number}.log").open("ab") as log:
            return subprocess.Popen(command, env=self._env, stdout=log, stderr=log, cwd=settings.BASE_DIR)

    def _run(self):
        workers = [self._start(number) for number in range(2)]
        try:
            self._kill_and_wake(workers)
        finally:
            for worker in workers:
                worker.kill()
                worker.wait()
            connection.close()

    def _kill_and_wake(self, workers):
        """A connection of our own: other tests have closed those of the pool."""
        broker = tasks.read_returned.app.connection_for_write(settings.CELERY_BROKER_URL)
        while not self._over.wait(LOOK_EVERY):
            read = Returned.objects.exclude(read_at=None).count()
            if read > REPORTS * self.kills // (KILLS + 1):  # spread over the work
                victim = self.kills % 2
                workers[victim].send_signal(signal.SIGKILL)
                workers[victim].wait()
                self.kills += 1
                workers[victim] = self._start(victim)
            tasks.read_returned.apply_async(connection=broker)  # as beat does
        broker.release()


@pytest.fixture
def door(tmp_path):
    port = free_port()
    env = environment(port)
    command = [sys.executable, str(settings.BASE_DIR / "manage.py"), "run_mx"]
    with (tmp_path / "mx.log").open("wb") as log, subprocess.Popen(command, env=env, stdout=log, stderr=log) as process:
        end = time.monotonic() + 30
        while b"Accepting" not in (tmp_path / "mx.log").read_bytes() and time.monotonic() < end:
            time.sleep(0.1)
        yield port, env
        process.terminate()


def flood(port, messages, folder):
    """Bring so many reports of each message; each call of smtp-source is one sender with several connections."""
    running = []
    for message in messages:
        mail = folder / f"{message.pk}.eml"
        mail.write_bytes(about(message, "postfix-unknown-user").replace(b"\r\n", b"\n"))
        to = return_path.envelope_sender(return_path.trace(message.pk, now=timezone.now()), domain="news.shop.example")
        command = [program("smtp-source"), "-s", "4", "-m", str(TWICE), "-f", "", "-t", to, "-F", str(mail)]
        running.append(subprocess.Popen([*command, f"{HOST}:{port}"], stderr=subprocess.PIPE))
        if len(running) >= SIDE_BY_SIDE:
            finish(running.pop(0))
    for process in running:
        finish(process)


def finish(process):
    _, errors = process.communicate(timeout=120)
    assert (process.returncode, errors) == (0, b"")


def test_flood_of_reports_is_stored_whole_and_counted_once(door, tmp_path):
    port, env = door
    batch = BatchFactory(total=REPORTS // TWICE, delivered=REPORTS // TWICE, status=Batch.Status.DONE)
    messages = [
        MessageFactory(batch=batch, recipient=f"gone{number}@readers.example", status=Status.DELIVERED)
        for number in range(REPORTS // TWICE)
    ]

    with Workers(env, tmp_path) as workers:
        flood(port, messages, tmp_path)
        assert Returned.objects.count() == REPORTS  # each had its 250
        end = time.monotonic() + PATIENCE
        while (Returned.objects.filter(read_at=None).exists() or not workers.kills) and time.monotonic() < end:
            time.sleep(0.2)

    assert workers.kills
    assert Returned.objects.count() == REPORTS
    assert not Returned.objects.filter(read_at=None).exists()
    assert Returned.objects.filter(has_effect=True).count() == len(messages)
    assert set(Message.objects.values_list("status", "invalid")) == {("bounced", True)}
    assert Event.objects.filter(was="delivered", status="bounced").count() == len(messages)
    assert Suppression.objects.count() == len(messages)
    batch.refresh_from_db()
    assert (batch.delivered, batch.bounced) == (0, len(messages))
