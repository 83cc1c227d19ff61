"""The pretend internet of this machine: a name server and a mail sink for every domain."""

import asyncio
import signal
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from mailpush.environment import Bind
from mailpush.mail.certificate import server_context
from mailpush.mail.server import Limits, listen
from mailpush.sandbox.nameserver import HOST, Nameserver, platform_records, serving
from mailpush.sandbox.ports import SandboxPorts, kept_ports
from mailpush.sandbox.reports import Postman
from mailpush.sandbox.sink import Recorder, Sink
from mailpush.sandbox.world import World

SINK_NAME = "sink.sandbox.test"
# The whole world sends from one address here.
LIMITS = Limits(message_size=64 * 1024 * 1024, connections=5000, connections_per_ip=5000)


class Command(BaseCommand):
    help = "Play the internet: answer DNS questions and take mail for every domain until told to stop."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: Any) -> None:
        parser.add_argument("--discard", action="store_true", help="keep no mail, for measurements")

    def handle(self, *, discard: bool, **_options: Any) -> None:
        ports = kept_ports(settings.PLACES.sandbox_ports)
        try:
            asyncio.run(self._run(ports, discard=discard))
        except OSError as error:
            raise CommandError(f"The sandbox cannot listen on ports {ports.dns} and {ports.smtp}: {error}") from error

    async def _run(self, ports: SandboxPorts, *, discard: bool) -> None:
        world = World(settings.PLACES.sandbox)
        own = platform_records(
            mail_host=settings.MAILPUSH_MAIL_HOST,
            spf_include=settings.MAILPUSH_SPF_INCLUDE,
            public_host=settings.PUBLIC_HOST,
        )
        recorder = None if discard else Recorder(world)
        mx: Bind = settings.MAILPUSH_MX_BIND
        sink = Sink(recorder.keep if recorder else _forget, Postman(mx.host, mx.port, SINK_NAME))
        try:
            async with serving(Nameserver(world, own), ports.dns):
                listener = await listen(
                    sink, HOST, ports.smtp, hostname=SINK_NAME, limits=LIMITS, tls_context=server_context(SINK_NAME)
                )
                self.stdout.write(
                    f"The sandbox answers DNS on {HOST}:{ports.dns} and takes mail on {HOST}:{ports.smtp}"
                )
                self.stdout.flush()
                await _told_to_stop()
                await listener.close(grace=2)
        finally:
            await sink.close()
            if recorder:
                recorder.close()


async def _told_to_stop() -> None:
    stopping = asyncio.Event()
    for how in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(how, stopping.set)
    await stopping.wait()


def _forget(_mails: object) -> None:
    """Keep nothing."""
