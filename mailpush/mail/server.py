"""Opens an SMTP door on a port, counts who comes in, and closes it without dropping a message.

RFC 5321 with PIPELINING, SIZE, 8BITMIME, SMTPUTF8, ENHANCEDSTATUSCODES, CHUNKING, DSN, STARTTLS and AUTH. What a
door decides is in `door`, the conversation in `conversation`.
"""

import asyncio
import socket
import ssl
from collections import Counter

from mailpush.mail.conversation import Conversation
from mailpush.mail.door import AuthPolicy, Door, Limits, Service, Session
from mailpush.mail.replies import SHUTTING_DOWN, Reply
from mailpush.mail.wire import Wire

__all__ = ["AuthPolicy", "Door", "Limits", "Listener", "Session", "listen"]

RFC_LIMITS = Limits()
BACKLOG = 1024  # connections the kernel keeps while we are busy; 100, the default, is less than one burst


async def listen(
    door: Door,
    host: str,
    port: int,
    *,
    hostname: str,
    limits: Limits = RFC_LIMITS,
    auth: AuthPolicy = AuthPolicy.NONE,
    tls_context: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    reuse_port: bool = False,
) -> "Listener":
    """Open a door; port 0 takes a free one.

    :param hostname: how the server calls itself.
    :param tls_context: for STARTTLS, or for every connection from its first byte with `implicit_tls`.
    :param reuse_port: let several processes share the port.
    :raises OSError: the port is taken or may not be opened.
    """
    service = Service(door, hostname, limits, None if implicit_tls else tls_context, auth)
    listener = Listener(service, is_encrypted=implicit_tls)
    listener.server = await asyncio.get_running_loop().create_server(
        lambda: Arrival(listener),
        host,
        port,
        backlog=BACKLOG,
        reuse_port=reuse_port or None,
        ssl=tls_context if implicit_tls else None,
        ssl_handshake_timeout=limits.tls_seconds if implicit_tls else None,
    )
    return listener


class Listener:
    """An open door and everyone inside."""

    server: asyncio.Server

    def __init__(self, service: Service, *, is_encrypted: bool) -> None:
        self._service = service
        self._is_encrypted = is_encrypted
        self._inside: dict[asyncio.Task[None], Conversation] = {}
        self._per_ip: Counter[str] = Counter()

    @property
    def sockets(self) -> tuple[socket.socket, ...]:
        return tuple(self.server.sockets)

    @property
    def port(self) -> int:
        return int(self.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self._inside)

    def admit(self, wire: Wire) -> None:
        """Begin a conversation, or say why not."""
        peer = str((wire.transport.get_extra_info("peername") or ["0.0.0.0"])[0]).partition("%")[0]  # noqa: S104
        session = Session(peer, is_encrypted=self._is_encrypted)
        network = session.network
        limits = self._service.limits
        if self.connections >= limits.connections or self._per_ip[network] >= limits.connections_per_ip:
            whose = "from your network" if self.connections < limits.connections else "to this server"
            wire.write(Reply(SHUTTING_DOWN, f"4.7.0 Too many connections {whose}; try again later").encode())
            wire.transport.close()
            return
        conversation = Conversation(wire, self._service, session)
        task = asyncio.get_running_loop().create_task(conversation.run())
        self._inside[task] = conversation
        self._per_ip[network] += 1
        task.add_done_callback(lambda done: self._dismiss(done, network))

    def _dismiss(self, task: asyncio.Task[None], network: str) -> None:
        del self._inside[task]
        self._per_ip[network] -= 1
        if not self._per_ip[network]:
            del self._per_ip[network]

    async def close(self, grace: float = 30) -> None:
        """Let nobody in any more, send the idle away with 421, and let messages under way be finished.

        :param grace: seconds after which the rest is cut off.
        """
        self.server.close()
        for conversation in self._inside.values():
            conversation.leave()
        if self._inside:
            await asyncio.wait(self._inside, timeout=grace)
        for task in self._inside:
            task.cancel()
        if self._inside:
            await asyncio.wait(self._inside)
        await self.server.wait_closed()


class Arrival(Wire):
    """A connection someone made to us."""

    def __init__(self, listener: Listener) -> None:
        super().__init__(half_open=True)
        self._listener = listener

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._listener.admit(self)
