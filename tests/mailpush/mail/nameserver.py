"""An authoritative name server on loopback, UDP and TCP, that can be told to misbehave."""

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Collection, Mapping
from dataclasses import dataclass, field

import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

TTL = 300
MAX_CNAMES = 5
SILENCE, TRUNCATION = "silence", "truncation"

Zones = Mapping[str, Mapping[str, list[str]]]


@dataclass
class NameServer:
    """Answers from `zones`, {name: {type: [records]}}; `faults` are {name: or "name type": fault}.

    A fault is an rcode such as "SERVFAIL", SILENCE, or TRUNCATION (of answers over UDP). It vouches for the
    names in `signed` (AD), as a validating resolver would, where it is asked to.
    """

    zones: Zones
    faults: Mapping[str, str] = field(default_factory=dict)
    ttls: Mapping[str, int] = field(default_factory=dict)
    questions: list[tuple[str, str]] = field(default_factory=list)
    signed: Collection[str] = ()

    def answer(self, wire: bytes, *, over_udp: bool) -> bytes | None:
        query = dns.message.from_wire(wire)
        question = query.question[0]
        name, kind = plain(question.name), dns.rdatatype.to_text(question.rdtype)
        self.questions.append((name, kind))
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if name in self.signed:
            response.flags |= query.flags & dns.flags.AD
        fault = self.faults.get(f"{name} {kind}", self.faults.get(name))
        if fault == SILENCE:
            return None
        if fault == TRUNCATION and over_udp:
            response.flags |= dns.flags.TC
        elif fault and fault != TRUNCATION:
            response.set_rcode(dns.rcode.from_text(fault))
        else:
            self._fill(response, name, kind)
        return response.to_wire()

    def _fill(self, response, name, kind):
        for _ in range(MAX_CNAMES):
            records = self.zones.get(name)
            if records is None:
                if not any(other.endswith(f".{name}") for other in self.zones):
                    response.set_rcode(dns.rcode.NXDOMAIN)
                return
            found = kind if kind in records else "CNAME"
            if found not in records:
                return
            response.answer.append(
                dns.rrset.from_text(f"{name}.", self.ttls.get(name, TTL), "IN", found, *records[found])
            )
            if found == kind:
                return
            name = plain(dns.name.from_text(records["CNAME"][0]))


def plain(name):
    return name.to_text(omit_final_dot=True).lower()


class _Udp(asyncio.DatagramProtocol):
    def __init__(self, server: NameServer) -> None:
        self.server = server

    def connection_made(self, transport):
        self.transport = transport

    def datagram_received(self, data, addr):
        answer = self.server.answer(data, over_udp=True)
        if answer:
            self.transport.sendto(answer, addr)


@contextlib.asynccontextmanager
async def serving(server: NameServer) -> AsyncIterator[dns.asyncresolver.Resolver]:
    """Run the server on a free port and yield a resolver that asks it and nobody else."""

    conversations = set()

    async def converse(reader, writer):
        conversations.add(asyncio.current_task())
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                answer = server.answer(await reader.readexactly(length), over_udp=False)
                if answer:
                    writer.write(struct.pack("!H", len(answer)) + answer)
        writer.close()
        await writer.wait_closed()

    tcp = await asyncio.start_server(converse, "127.0.0.1", 0)
    port = tcp.sockets[0].getsockname()[1]
    udp, _ = await asyncio.get_running_loop().create_datagram_endpoint(lambda: _Udp(server), ("127.0.0.1", port))
    resolver = dns.asyncresolver.Resolver(configure=False)
    resolver.nameservers, resolver.port = ["127.0.0.1"], port
    resolver.timeout, resolver.lifetime = 0.2, 0.5
    try:
        yield resolver
    finally:
        udp.close()
        tcp.close()
        await tcp.wait_closed()
        await asyncio.gather(*conversations)
