"""Keeping SMTP doors open until told to stop, and asking the database from their event loop."""

import asyncio
import functools
import signal
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import ParamSpec, TypeVar

from django.conf import settings
from django.core.management.base import CommandError
from django.db import connection

from mailpush.environment import Bind
from mailpush.mail.certificate import server_context
from mailpush.mail.door import AuthPolicy, Door, Limits
from mailpush.mail.server import Listener, listen

Params = ParamSpec("Params")
Answer = TypeVar("Answer")

DATABASE_THREADS = 8

_threads = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="database")


@dataclass(frozen=True, slots=True)
class Opening:
    """A door and how it opens."""

    door: Door
    binds: Sequence[Bind]
    limits: Limits
    auth: AuthPolicy = AuthPolicy.NONE


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

    :raises CommandError: an address is taken or may not be used.
    """
    asyncio.run(_serve(opening, opened))


async def _serve(opening: Opening, opened: Callable[[str], object]) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    listeners = [await _open(opening, bind) for bind in opening.binds]
    opened(", ".join(map(str, opening.binds)))
    await stop.wait()
    await asyncio.gather(*(listener.close(grace=5) for listener in listeners))


async def _open(opening: Opening, bind: Bind) -> Listener:
    hostname = settings.MAILPUSH_MAIL_HOST
    try:
        return await listen(
            opening.door,
            bind.host,
            bind.port,
            hostname=hostname,
            limits=opening.limits,
            auth=opening.auth,
            tls_context=server_context(hostname),
            implicit_tls=bind.implicit_tls,
        )
    except OSError as error:
        raise CommandError(f"Cannot listen on {bind}: {error.strerror or error}.") from error
