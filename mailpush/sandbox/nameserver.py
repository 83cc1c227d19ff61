"""A loopback name server for the pretend internet: what was published, and a plausible mail host for everyone else.

Names that misbehave on purpose, for tests and the curious: a label that begins with `nxdomain`, and everything under
`.invalid`, does not exist; `servfail…` cannot be answered, `silent…` is not; `nullmx…` takes no mail (RFC 7505).
"""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Mapping
from typing import cast

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from mailpush.sandbox.world import Record, World, to_rdata

HOST = "127.0.0.1"
LONGEST_CHAIN = 8  # CNAME after CNAME
TCP_IDLE = 10.0  # seconds
UDP_PAYLOAD = 512  # RFC 1035 section 2.3.4, where the asker says nothing else


class Nameserver:
    """Answers for the whole world; `own` are the platform's records, which need no publishing."""

    def __init__(self, world: World, own: Mapping[str, list[Record]]) -> None:
        self._world = world
        self._own = own

    def answer(self, wire: bytes) -> tuple[bytes, int] | None:
        """Return the answer and how many bytes of it UDP may carry; None where the question is no question."""
        try:
            query = dns.message.from_wire(wire)
        except dns.exception.DNSException:
            return None
        if query.flags & dns.flags.QR or len(query.question) != 1:
            return None
        if any(label.lower().startswith(b"silent") for label in query.question[0].name.labels):
            return None
        response = dns.message.make_response(query, recursion_available=True)
        response.flags |= dns.flags.AA
        question = query.question[0]
        self._fill(response, question.name.to_text(omit_final_dot=True).lower(), question.rdtype)
        size = max(query.payload, UDP_PAYLOAD) if query.edns >= 0 else UDP_PAYLOAD
        return response.to_wire(), size

    def _fill(self, response: dns.message.Message, name: str, kind: dns.rdatatype.RdataType) -> None:
        for _ in range(LONGEST_CHAIN):
            published = self._own.get(name) or self._world.records(name)
            if not published and (rcode := _misfortune(name)):
                response.set_rcode(rcode)
                return
            found = [each for each in published if each.type == dns.rdatatype.to_text(kind)]
            alias = [each for each in published if each.type == "CNAME"]
            records = found or alias or _plausible(name, kind)
            if records:
                response.answer.append(_rrset(records))
            if found or not alias:
                return
            name = to_rdata(alias[0]).target.to_text(omit_final_dot=True).lower()  # type: ignore[attr-defined]


def platform_records(*, mail_host: str, spf_include: str, public_host: str) -> dict[str, list[Record]]:
    """Return what the platform's operator would publish about itself."""
    return {
        public_host: [Record(public_host, "A", HOST)],
        mail_host: [Record(mail_host, "A", HOST)],
        spf_include: [Record(spf_include, "TXT", f"v=spf1 ip4:{HOST} -all")],
    }


def _plausible(name: str, kind: dns.rdatatype.RdataType) -> list[Record]:
    """Return what a usual mail domain would have: a mail host below it, at the sink's address."""
    if kind == dns.rdatatype.MX:
        value = "0 ." if name.startswith("nullmx") else f"10 mx.{name}."
        return [Record(name, "MX", value)]
    if kind == dns.rdatatype.A and name.startswith("mx."):
        return [Record(name, "A", HOST)]
    return []


def _misfortune(name: str) -> dns.rcode.Rcode | None:
    labels = name.split(".")
    if labels[-1] == "invalid" or any(label.startswith("nxdomain") for label in labels):
        return dns.rcode.NXDOMAIN
    if any(label.startswith("servfail") for label in labels):
        return dns.rcode.SERVFAIL
    return None


def _rrset(records: list[Record]) -> dns.rrset.RRset:
    first = records[0]
    return dns.rrset.from_rdata_list(
        dns.name.from_text(first.name), min(each.ttl for each in records), [to_rdata(each) for each in records]
    )


# ── Sockets ─────────────────────────────────────────────────────────────────────────────────────


@contextlib.asynccontextmanager
async def serving(nameserver: Nameserver, port: int) -> AsyncIterator[int]:
    """Serve on UDP and TCP for the length of the block; port 0 takes a free one.

    :raises OSError: when the port is taken.
    """
    loop = asyncio.get_running_loop()
    tcp = await asyncio.start_server(lambda reader, writer: _talk(nameserver, reader, writer), HOST, port)
    port = tcp.sockets[0].getsockname()[1]
    udp, _ = await loop.create_datagram_endpoint(lambda: _Datagrams(nameserver), (HOST, port))
    try:
        yield port
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()


class _Datagrams(asyncio.DatagramProtocol):
    def __init__(self, nameserver: Nameserver) -> None:
        self._nameserver = nameserver

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        answer = self._nameserver.answer(data)
        if answer is None:
            return
        wire, size = answer
        if len(wire) > size:  # RFC 2181 section 9: told to come again over TCP
            short = dns.message.make_response(dns.message.from_wire(data))
            short.flags |= dns.flags.TC
            wire = short.to_wire()
        self._transport.sendto(wire, addr)


async def _talk(nameserver: Nameserver, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answer the questions of one TCP connection (RFC 7766), until it is silent for a while."""
    try:
        async with asyncio.timeout(TCP_IDLE):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = nameserver.answer(await reader.readexactly(length))
                if answer is None:
                    break
                writer.write(struct.pack("!H", len(answer[0])) + answer[0])
                await writer.drain()
    except (TimeoutError, OSError, asyncio.IncompleteReadError):
        pass
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
