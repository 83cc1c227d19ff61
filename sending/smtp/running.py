"""Keeping SMTP doors open until told to stop."""

import asyncio
import gc
import logging
import signal
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

import uvloop
from django.conf import settings
from django.core.management.base import CommandError

from mailpush.environment import Bind
from mailpush.mail.certificate import BadCertificate, DoorCertificate
from mailpush.mail.door import AuthPolicy, Door, Limits
from mailpush.mail.server import Listener, listen

log = logging.getLogger(__name__)

GARBAGE_LOOKED_FOR_AFTER = 20_000  # more objects made than freed: a conversation leaves no circles
CERTIFICATE_LOOKED_AT = 30.0  # seconds between two looks


@dataclass(frozen=True, slots=True)
class Opening:
    """A door and how it opens; several processes may share its ports."""

    door: Door
    binds: Sequence[Bind]
    limits: Limits
    auth: AuthPolicy = AuthPolicy.NONE
    reuse_port: bool = False
    closed: Callable[[], Awaitable[None]] | None = None  # called when nobody is inside any more


def serve(opening: Opening, *, opened: Callable[[str], object]) -> None:
    """Open the door, say where, and keep it open until SIGTERM or SIGINT.

    :raises CommandError: an address is taken or may not be used, or the certificate is of no use.
    """
    uvloop.run(_serve(opening, opened))


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
        await opening.closed()


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
