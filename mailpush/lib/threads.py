"""Database work beside an event loop."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from django.db import connection

Params = ParamSpec("Params")
Answer = TypeVar("Answer")

DATABASE_THREADS = 8

_threads = ThreadPoolExecutor(DATABASE_THREADS, thread_name_prefix="database")


async def in_thread(work: Callable[Params, Answer], *args: Params.args, **kwargs: Params.kwargs) -> Answer:
    """Run database work beside the event loop; its connection goes back to the pool afterwards."""

    def worked() -> Answer:
        try:
            return work(*args, **kwargs)
        finally:
            connection.close()

    return await asyncio.get_running_loop().run_in_executor(_threads, worked)
