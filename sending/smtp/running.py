"""Keeping SMTP doors open until told to stop, and asking the database from their event loop."""

import asyncio
import functools
import gc
import logging
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from mailpush.environment import Bind
from mailpush.mail.certificate import BadCertificate, DoorCertificate
from mailpush.mail.door import AuthPolicy, Door, Limits
from mailpush.mail.server import Listener, listen

log = logging.getLogger(__name__)

Params = ParamSpec("Params")
Answer = TypeVar("Answer")

DATABASE_THREADS = 8
GARBAGE_LOOKED_FOR_AFTER = 20_000  # more objects made than freed: a conversation leaves no circles
CERTIFICATE_LOOKED_AT = 30.0  # seconds between two looks

_threads = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="database")


@dataclass(frozen=True, slots=True)
class Opening:
    """A door and how it opens; several processes may share its ports."""

    door: Door
    binds: Sequence[Bind]
    limits: Limits
    auth: AuthPolicy = AuthPolicy.NONE
    reuse_port: bool = False
    closed: Callable[[], None] | None = None  # called when nobody is inside any more


async def in_thread(work: Callable[Params, Answer], *args: Params.args, **kwargs: Params.kwargs) -> Answer:
    """Run database work beside the event loop; its connection goes back to the pool afterwards."""

    def worked() -> Answer:
        try:
            return work(*args, **kwargs)
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(_threads, functools.partial(worked))


def serve(opening: Opening, *, opened: Callable[[str], object]) -> None:
    """Open the door, say where, and keep it open until SIGTERM or SIGINT.

    :raises CommandError: an address is taken or may not be used, or the certificate is of no use.
    """
    asyncio.run(_serve(opening, opened))


async def _serve(opening: Opening, opened: Callable[[str], object]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    try:
        certificate = DoorCertificate(settings.MAILPUSH_MAIL_HOST, settings.PLACES.tls)
    except BadCertificate as problem:
        raise CommandError(str(problem)) from problem
    listeners = [await _open(opening, bind, certificate) for bind in opening.binds]
    # What has been imported stays: looking through it again and again would take a tenth of the time.
    gc.freeze()
    gc.set_threshold(GARBAGE_LOOKED_FOR_AFTER, 20, 20)
    opened(", ".join(map(str, opening.binds)))
    following = asyncio.create_task(_follow(certificate))
    await stop.wait()
    following.cancel()
    await asyncio.gather(*(listener.close(grace=5) for listener in listeners))
    if opening.closed:
        opening.closed()


async def _open(opening: Opening, bind: Bind, certificate: DoorCertificate) -> Listener:
    try:
        return await listen(
            opening.door,
            bind.host,
            bind.port,
            hostname=settings.MAILPUSH_MAIL_HOST,
            limits=opening.limits,
            auth=AuthPolicy.ANYWHERE if bind.open_login else opening.auth,
            tls_context=certificate.context,
            implicit_tls=bind.implicit_tls,
            reuse_port=opening.reuse_port,
        )
    except OSError as error:
        raise CommandError(f"Cannot listen on {bind}: {error.strerror or error}.") from error


async def _follow(certificate: DoorCertificate) -> None:
    """Take up a renewed certificate without a restart."""
    while True:
        await asyncio.sleep(CERTIFICATE_LOOKED_AT)
        try:
            if certificate.follow():
                log.info("The certificate has been renewed")
        except BadCertificate as problem:
            log.warning("%s The one in use stays.", problem)
