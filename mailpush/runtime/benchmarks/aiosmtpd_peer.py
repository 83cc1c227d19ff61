"""A peer of the submission door: aiosmtpd as its users start it, accepting everything and keeping nothing."""

import asyncio
import sys
from typing import Any


class Discard:
    async def handle_DATA(self, _server: Any, _session: Any, _envelope: Any) -> str:  # noqa: N802 aiosmtpd's name
        return "250 2.0.0 Accepted"


async def main(port: int) -> None:
    """Serve until killed."""
    from aiosmtpd.smtp import SMTP  # noqa: PLC0415 not installed everywhere

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Discard(), hostname="peer.example", loop=loop), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1])))
