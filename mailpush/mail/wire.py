"""One SMTP connection as both ends see it: bytes in, bytes out, time limits, flow control, TLS.

Built on asyncio.Protocol rather than on streams: a waiting coroutine costs one future and no timer of its own,
and a peer that sends faster than we work is held back by TCP.
"""

import asyncio
import ssl
from typing import cast

# Read ahead at most this much while the owner is busy; pipelined commands of hundreds of recipients fit.
READ_AHEAD = 65_536
CLOSING_TAKES = 5.0  # seconds until an orderly close is cut short


class PeerGone(Exception):
    """The connection ended."""


class PeerSlow(PeerGone):
    """The peer did not move in time."""


class Wire(asyncio.Protocol):
    """A connection with one owner: a coroutine that reads `received` and waits for more."""

    def __init__(self, *, half_open: bool = False) -> None:
        """Start without a connection; `half_open` keeps ours open when the peer has ended its half."""
        self.received = bytearray()
        self.is_ended = False  # nothing more will be received
        self.is_gone = False  # nothing more can be sent, either
        self.is_unsent = False  # something written has not reached the kernel (under TLS: our TLS layer)
        self.transport: asyncio.Transport
        self._half_open = half_open
        self._loop = asyncio.get_running_loop()
        self._waiter: asyncio.Future[None] | None = None
        self._wants_input = False
        self._is_held = False
        self._closed = self._loop.create_future()
        self._timer: asyncio.TimerHandle | None = None
        self._patience = 0.0
        self._deadline = 0.0
        self._backlog = 0

    # What asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._attach(transport)

    def _attach(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)
        self.is_unsent = self._is_held = False
        # 1, not 0: the TLS transport takes "not below the mark" for full.
        self.transport.set_write_buffer_limits(high=1)

    def data_received(self, data: bytes) -> None:
        self.received += data
        if self._wants_input:
            self._wake()
        elif len(self.received) > READ_AHEAD and not self._is_held:
            self._is_held = True
            self.transport.pause_reading()

    def eof_received(self) -> bool:
        self.is_ended = True
        self._wake()
        is_encrypted = self.transport.get_extra_info("sslcontext") is not None
        if self._half_open and not is_encrypted:  # TLS connections end on both sides at once
            return True
        self.is_gone = True
        return False  # the transport sends what is left, then closes

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 asyncio's signature
        self.is_ended = self.is_gone = True
        if not self._closed.done():
            self._closed.set_result(None)
        if self._timer:
            self._timer.cancel()
        self._wake()

    def pause_writing(self) -> None:
        self.is_unsent = True

    def resume_writing(self) -> None:
        self.is_unsent = False
        self._wake()

    # What the owner calls

    async def more(self, seconds: float) -> None:
        """Wait until the peer has sent something, or has taken all that was sent to it.

        :raises PeerSlow: it did not within so many seconds.
        :raises PeerGone: it never will.
        """
        if self.is_ended:
            raise PeerGone
        if self._is_held:
            self._is_held = False
            self.transport.resume_reading()
        self._wants_input = True
        try:
            await self._wait(seconds)
        finally:
            self._wants_input = False

    async def sent(self, seconds: float) -> None:
        """Wait until everything written is out of our hands; each piece that moves renews the time.

        :raises PeerSlow: nothing moved for so many seconds.
        """
        while self.is_unsent and not self.is_gone:
            await self._wait(seconds)

    def write(self, octets: bytes) -> None:
        if not self.is_gone:
            self.transport.write(octets)

    async def encrypt(
        self, context: ssl.SSLContext, *, server_name: str | None, is_server: bool, seconds: float
    ) -> None:
        """Go on under TLS. What came before it is forgotten: anyone could have put it there (RFC 3207 section 6).

        :raises OSError: the handshake failed (ssl.SSLError is one); the connection is gone.
        """
        self.received.clear()
        try:
            transport = await self._loop.start_tls(
                self.transport,
                self,
                context,
                server_side=is_server,
                server_hostname=server_name,
                ssl_handshake_timeout=seconds,
            )
        except BaseException:
            # asyncio closes the socket, but tells only its own TLS layer.
            self.connection_lost(None)
            raise
        if transport is None:  # typeshed: a transport that went away during the handshake
            raise ConnectionResetError
        self._attach(transport)

    async def close(self) -> None:
        """Send what is left and close; a peer that does not let us is cut off."""
        self.is_ended = self.is_gone = True
        self.transport.close()
        try:
            async with asyncio.timeout(CLOSING_TAKES):
                await asyncio.shield(self._closed)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Drop the connection now."""
        self.is_ended = self.is_gone = True
        self.transport.abort()

    # Waiting

    def interrupt(self, reason: Exception) -> None:
        """Make the owner's present wait end with this exception."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(reason)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def _wait(self, seconds: float) -> None:
        self._waiter = self._loop.create_future()
        self._patience = seconds
        self._backlog = self.transport.get_write_buffer_size()
        self._deadline = self._loop.time() + seconds
        # One timer for the life of the connection instead of one a wait: it looks at the clock when it fires.
        if self._timer is None or self._timer.when() > self._deadline:
            self._set_timer()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _set_timer(self) -> None:
        if self._timer:
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._look_at_clock)

    def _look_at_clock(self) -> None:
        self._timer = None
        if self._waiter is None:
            return
        backlog = self.transport.get_write_buffer_size()
        if backlog < self._backlog:  # slow, but reading
            self._backlog = backlog
            self._deadline = self._loop.time() + self._patience
        if self._deadline > self._loop.time():
            self._set_timer()
        else:
            self.interrupt(PeerSlow())


async def dial(
    address: str, port: int, *, source_ip: str | None, tls: ssl.SSLContext | None, server_name: str, seconds: float
) -> Wire:
    """Connect as a client; with `tls` the connection is encrypted from the first byte.

    :raises OSError: nobody answers in time (TimeoutError), or the handshake failed (ssl.SSLError).
    :raises ValueError: a name that TLS cannot carry.
    """
    async with asyncio.timeout(seconds):
        _, wire = await asyncio.get_running_loop().create_connection(
            Wire,
            address,
            port,
            local_addr=(source_ip, 0) if source_ip else None,
            ssl=tls,
            server_hostname=server_name if tls else None,
        )
    return wire
