"""Calls to addresses that customers give us: they reach the public internet and nothing else.

A name is looked up once, and the connection goes to the very address that was looked at: a name that is answered
differently the next moment (DNS rebinding) leads nowhere else. Redirects are not followed.
"""

import asyncio
import http.client
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from urllib.parse import SplitResult, urlsplit

import dns.exception
from django.conf import settings

from mailpush.lib import dns as names

PATIENCE = 10.0  # seconds for a connection and for each piece of an answer
DEADLINE = 20.0  # seconds for all of an answer
KEPT = 500  # characters of an answer
READ = 4096  # bytes of it
NAT64 = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052: an IPv4 address inside

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


class NotReachable(Exception):
    """The address is not one that we call, or does not answer; the message says why, in English."""


@dataclass(frozen=True, slots=True)
class Answer:
    code: int
    text: str


def may_be_called(address: IpAddress) -> bool:
    """Return whether it belongs to somebody else; in the sandbox, which is a machine to itself, to that machine."""
    plain = _plain(address)
    if _is_sandbox():
        return plain.is_loopback
    return plain.is_global and not plain.is_multicast and not (plain.version == 6 and plain in NAT64)  # noqa: PLR2004


def post(url: str, body: bytes, headers: Mapping[str, str]) -> Answer:
    """Return what the address answers.

    :raises NotReachable: there was no answer.
    """
    parts = urlsplit(url)
    try:
        address = _address(parts.hostname or "")
        return _exchange(parts, address, body, headers)
    except ssl.SSLError as error:
        raise NotReachable(f"TLS: {error.reason or error}") from error
    except (OSError, http.client.HTTPException) as error:
        raise NotReachable(_words(error)) from error


def _exchange(parts: SplitResult, address: IpAddress, body: bytes, headers: Mapping[str, str]) -> Answer:
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = parts.hostname or ""
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    connection.sock = _connected(parts.scheme, host, address, port)
    try:
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        with _within(DEADLINE, connection.sock):
            connection.request("POST", path, body, {**headers, "Connection": "close"})
            answer = connection.getresponse()
            return Answer(answer.status, answer.read(READ).decode("utf-8", "replace").replace("\0", "")[:KEPT])
    finally:
        connection.close()


@contextmanager
def _within(seconds: float, wire: socket.socket) -> Iterator[None]:
    """Cut a connection that is not done in time: the time-out of a socket is for each piece, which may be one byte.

    :raises NotReachable: it was cut.
    """
    is_cut = threading.Event()

    def cut() -> None:
        is_cut.set()
        with suppress(OSError):  # it has ended just now
            socket.socket.shutdown(wire, socket.SHUT_RDWR)  # below TLS, which another thread is in

    timer = threading.Timer(seconds, cut)
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        if is_cut.is_set():
            raise NotReachable(f"The answer was not complete after {seconds:g} seconds.")


def _connected(scheme: str, host: str, address: IpAddress, port: int) -> socket.socket:
    plain = socket.create_connection((str(address), port), timeout=PATIENCE)
    if scheme != "https":
        return plain
    try:
        return _tls().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


def _address(host: str) -> IpAddress:
    """Return an address of the host that may be called.

    :raises NotReachable: it has none.
    """
    address = literal(host)
    found = [address] if address else _looked_up(host)
    allowed = [address for address in found if may_be_called(address)]
    if not allowed:
        shown = ", ".join(map(str, found[:3])) or "nothing"
        allowed_is = "this machine, which is all a sandbox calls" if _is_sandbox() else "the public internet"
        raise NotReachable(f"{host} leads to {shown}. That is not on {allowed_is}.")
    return allowed[0]


def literal(host: str) -> IpAddress | None:
    """Return the address that the host is itself; None for a name."""
    if host == "localhost":
        return ipaddress.IPv4Address("127.0.0.1")
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _looked_up(host: str) -> list[IpAddress]:
    async def ask() -> list[IpAddress]:
        answers = await names.resolver().resolve_name(host)
        return [ipaddress.ip_address(text) for text in answers.addresses()]

    try:
        return asyncio.run(ask())
    except (dns.exception.DNSException, ValueError) as error:
        raise NotReachable(f"{host} could not be looked up: {_words(error)}") from error


def _plain(address: IpAddress) -> IpAddress:
    """Return the IPv4 address inside an IPv6 one, where that is all it stands for."""
    if isinstance(address, ipaddress.IPv6Address):
        return address.ipv4_mapped or address.sixtofour or (address.teredo[1] if address.teredo else address)
    return address


def _is_sandbox() -> bool:
    return bool(settings.MAILPUSH_DELIVERY == "sandbox")


@cache
def _tls() -> ssl.SSLContext:
    return ssl.create_default_context()  # takes longer to make than a handshake


def _words(error: BaseException) -> str:
    """Return what a customer can read: without the system's number."""
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
