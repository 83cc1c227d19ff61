"""The submission door killed in the middle of its work: 250 means delivered once, and nothing comes twice."""

import asyncio
import base64
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from contextlib import asynccontextmanager, suppress
from urllib.parse import urlsplit

import pytest
from django.conf import settings
from django.utils import timezone

from domains.services.domains import add_key
from sending.models import Message
from tests.factories import SenderFactory
from tests.interop.programs import Program, program
from tests.ports import HOST, free_port
from tests.sending.door_kit import Program as MailProgram
from tests.sending.door_kit import mail_from, password_for
from tests.threaded import InThread

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.timeout(240)]

KILLS = 4
ACCEPTED_AS = re.compile(rb"^250 2\.0\.0 Accepted as (\d+)\r\n", re.MULTILINE)


class RunSubmission(Program):
    """The real command as a process of its own, on the database of the test."""

    def __init__(self, folder) -> None:
        super().__init__(folder)
        # Not through manage.py, whose last command to end stops the embedded servers: they are the test run's.
        self.command = [sys.executable, "-m", "django", "run_submission"]
        database = urlsplit(settings.DATABASE_URL or settings.PLACES.postgres_url)
        self._environment = {
            "DATABASE_URL": database._replace(path=f"/{settings.DATABASES['default']['NAME']}").geturl(),
            "DJANGO_SETTINGS_MODULE": "mailpush.settings",
            "PYTHONPATH": str(settings.BASE_DIR),
            "MAILPUSH_SUBMISSION_BIND": f"{HOST}:{self.port}",
        }

    def start(self) -> None:
        with pytest.MonkeyPatch.context() as patch:
            for name, value in self._environment.items():
                patch.setenv(name, value)
            super().start()

    def kill_when(self, accepted, enough: int, *, delay: float = 0) -> None:
        """Kill it a moment after so many have been accepted."""
        self.wait_until(lambda: len(accepted) >= enough)
        time.sleep(delay)
        self._process.send_signal(signal.SIGKILL)
        self._process.wait()


class LoggedIn(InThread):
    """A port behind which everybody is logged in at the door, for programs that cannot log in; it notes each 250."""

    def __init__(self, door: int, user: str, password: str) -> None:
        self.accepted: list[int] = []
        self.port = free_port()
        self._door = door
        self._proof = base64.b64encode(f"\0{user}\0{password}".encode())

    @asynccontextmanager
    async def opened(self):
        server = await asyncio.start_server(self._arrive, HOST, self.port)
        yield
        server.close()
        for talk in asyncio.all_tasks() - {asyncio.current_task()}:
            talk.cancel()
            await asyncio.wait([talk])

    async def _arrive(self, reader, writer):
        try:
            await self._talk(reader, writer, *await asyncio.open_connection(HOST, self._door))
        except (OSError, EOFError):  # the door is dead
            pass
        finally:
            writer.close()

    async def _talk(self, reader, writer, door_reader, door_writer):
        try:
            await door_reader.readuntil(b"\r\n")
            door_writer.write(b"EHLO proxy.test\r\n")
            while (await door_reader.readuntil(b"\r\n"))[3:4] == b"-":
                pass
            door_writer.write(b"AUTH PLAIN " + self._proof + b"\r\n")
            assert (await door_reader.readuntil(b"\r\n")).startswith(b"235")
            writer.write(b"220 ready\r\n")
            forth = asyncio.create_task(_copied(reader, door_writer))
            while line := await door_reader.readline():
                self.accepted += [int(found) for found in ACCEPTED_AS.findall(line)]
                writer.write(line)
            forth.cancel()
        finally:
            door_writer.close()


async def _copied(reader, writer):
    with suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)


@pytest.fixture
def shop(private_key):
    shop = SenderFactory(stream="trigger", address="shop@mail.example.com", domain__name="mail.example.com")
    add_key(shop.domain, private_key, now=timezone.now())
    return shop


@pytest.fixture
def door(folder):
    with RunSubmission(folder) as door:
        yield door


def arrivals(internet) -> Counter:
    """Return how often each recipient has got a mail."""
    return Counter(mail.rcpt_to for mail in internet.mails)


def test_flood_of_smtp_source(door, shop, internet, deliver):
    flood = program("smtp-source")
    chance = random.Random(5)
    with LoggedIn(door.port, shop.address, password_for(shop)) as proxy:
        for number in range(KILLS):
            command = (flood, "-s", "10", "-l", "3000", "-m", "100000", "-N", "-f", shop.address)
            rest = ("-t", f"-reader-{number}@north.example", f"{HOST}:{proxy.port}")
            enough = len(proxy.accepted) + 1
            source = subprocess.Popen([*command, *rest], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            door.kill_when(proxy.accepted, enough, delay=chance.uniform(0.1, 0.8))
            source.wait(30)
            door.start()

    deliver()
    promised = dict(Message.objects.filter(pk__in=proxy.accepted).values_list("pk", "recipient"))
    arrived = arrivals(internet)
    assert len(proxy.accepted) > KILLS
    assert sorted(promised) == sorted(proxy.accepted)
    assert {recipient: arrived[recipient] for recipient in promised.values()} == dict.fromkeys(promised.values(), 1)
    assert set(arrived.values()) == {1}
    # What was stored and not answered any more is what was on the way at the kills: at most one for each connection.
    assert len(arrived) - len(promised) <= KILLS * 10


class Stubborn(threading.Thread):
    """A program that sends each message again, under the same Message-ID, until it has its 250."""

    def __init__(self, port: int, user: str, password: str, *, waiting: list[str], answers: dict[str, str]) -> None:
        super().__init__()
        self._way = port, user, password
        self._user = user
        self._waiting = waiting
        self._answers = answers

    def run(self):
        with suppress(IndexError):  # nothing is left
            recipient = self._waiting.pop()
            while True:
                with suppress(OSError, EOFError), MailProgram(*self._way) as mine:
                    while mine.send(mail_from(self._user, Message_ID=f"<{recipient}>"), recipient) == 250:
                        self._answers[recipient] = mine.last[1]
                        recipient = self._waiting.pop()
                time.sleep(0.05)


def test_programs_that_try_again_send_once(door, shop, internet, deliver):
    wanted = [f"reader-{number}@north.example" for number in range(400)]
    answers: dict[str, str] = {}
    login, queue = (door.port, shop.address, password_for(shop)), list(wanted)
    programs = [Stubborn(*login, waiting=queue, answers=answers) for _ in range(4)]
    for each in programs:
        each.start()
    for number in range(1, KILLS + 1):
        door.kill_when(answers, number * len(wanted) // (KILLS + 2))
        door.start()
    for each in programs:
        each.join(120)

    deliver()
    rows = Message.objects.values_list("recipient", "pk")
    assert {recipient: f"2.0.0 Accepted as {pk}" for recipient, pk in rows} == answers
    assert arrivals(internet) == Counter(wanted)
