"""Both ends of SMTP for the tests: an open-minded door, scripted servers, a raw client, a certificate."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from mailpush.mail.envelope import Envelope, Params
from mailpush.mail.replies import Reply
from mailpush.mail.server import AuthPolicy, Limits, Listener, Session, listen

HOST = "127.0.0.1"


class Mailroom:
    """A door that takes everything but what its local part asks it to refuse, and remembers."""

    def __init__(self) -> None:
        self.taken: list[tuple[Envelope, bytes]] = []
        self.users: list[str] = []
        self.visits = 0
        self.farewells = 0
        self.has_begun = asyncio.Event()
        self.may_finish = asyncio.Event()
        self.may_finish.set()
        self.banner: Reply | None = None

    async def connected(self, session: Session) -> Reply | None:
        self.visits += 1
        return self.banner

    async def auth(self, session: Session, user: str, password: str) -> Reply | None:
        if password != "right":
            return Reply(535, "5.7.8 Wrong name or password")
        self.users.append(user)
        return None

    async def mail(self, session: Session, mail_from: str, params: Params) -> Reply:
        return self._judge(mail_from, "2.1.0 Sender OK")

    async def rcpt(self, session: Session, rcpt_to: str, params: Params) -> Reply:
        return self._judge(rcpt_to, "2.1.5 Recipient OK")

    async def data(self, session: Session, content: bytes) -> Reply:
        assert session.envelope is not None
        self.has_begun.set()
        await self.may_finish.wait()
        if b"X-Refuse" in content:
            return Reply(554, "5.6.0 I do not like it")
        if b"X-Fail" in content:
            raise RuntimeError("a bug")
        self.taken.append((session.envelope, content))
        return Reply(250, "2.0.0 Taken")

    async def closed(self, session: Session) -> None:
        self.farewells += 1

    def _judge(self, address: str, welcome: str) -> Reply:
        match address.partition("@")[0]:
            case "gone":
                return Reply(550, "5.1.1 No such user")
            case "later":
                return Reply(451, "4.3.0 Not now")
            case "bye":
                return Reply(421, "4.3.2 Leaving")
            case _:
                return Reply(250, welcome)


@contextlib.asynccontextmanager
async def open_door(
    door: Mailroom,
    *,
    limits: Limits = Limits(),  # noqa: B008
    tls: ssl.SSLContext | None = None,
    implicit_tls: bool = False,
    auth: AuthPolicy = AuthPolicy.NONE,
) -> AsyncIterator[Listener]:
    listener = await listen(
        door, HOST, 0, hostname="mx.test", limits=limits, auth=auth, tls_context=tls, implicit_tls=implicit_tls
    )
    try:
        yield listener
    finally:
        await listener.close(grace=5)


class ScriptedServer:
    """Says the first answer on connection, then one answer for each expected beginning of a line.

    A step is `(beginning of what must be received, answer)`; the answer None hangs up, and so does the script's end.
    """

    def __init__(self, banner: bytes, steps: Sequence[tuple[bytes, bytes | None]]) -> None:
        self.banner = banner
        self.steps = steps
        self.lines: list[bytes] = []
        self.reads: list[bytes] = []

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            writer.write(self.banner)
            buffer = b""
            for wanted, answer in self.steps:
                while wanted not in buffer:
                    piece = await reader.read(65536)
                    if not piece:
                        return
                    self.reads.append(piece)
                    buffer += piece
                before, buffer = buffer[: buffer.index(wanted)], buffer[buffer.index(wanted) + len(wanted) :]
                self.lines.append(before + wanted)
                if answer is None:
                    return
                writer.write(answer)
                await writer.drain()
        except OSError:
            pass
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


@contextlib.asynccontextmanager
async def scripted(banner: bytes, *steps: tuple[bytes, bytes | None]) -> AsyncIterator[tuple[int, ScriptedServer]]:
    script = ScriptedServer(banner, steps)
    tasks: list[asyncio.Task[None]] = []

    def arrive(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.append(asyncio.get_running_loop().create_task(script.serve(reader, writer)))

    server = await asyncio.start_server(arrive, HOST, 0)
    try:
        yield server.sockets[0].getsockname()[1], script
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def raw(port: int, *pieces: bytes, pause: float = 0.02) -> bytes:
    """Send bytes as they are, in pieces, end our half, and return all that comes back."""
    reader, writer = await asyncio.open_connection(HOST, port)
    try:
        with contextlib.suppress(OSError):  # the server may hang up at any time; what it said counts
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(pause if len(pieces) > 1 else 0)
            writer.write_eof()
        async with asyncio.timeout(10):
            return await reader.read()
    except ConnectionError:
        return b""
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


def codes(answers: bytes) -> list[int]:
    """Return the codes of the replies in these bytes."""
    return [int(line[:3]) for line in answers.split(b"\r\n") if line[3:4] == b" "]


def server_tls(folder: Path, key: rsa.RSAPrivateKey | None = None) -> ssl.SSLContext:
    """Return TLS for "mx.test" and HOST with a certificate nobody vouches for; it is kept in `folder`."""
    signing = key or ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "mx.test")])
    names = [x509.DNSName("mx.test"), x509.IPAddress(ipaddress.ip_address(HOST))]
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(signing.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signing, hashes.SHA256())
    )
    pem = folder / "mx.test.pem"
    pem.write_bytes(
        certificate.public_bytes(serialization.Encoding.PEM)
        + signing.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


def client_tls(folder: Path) -> ssl.SSLContext:
    """Return TLS that trusts the certificate of `server_tls`."""
    return ssl.create_default_context(cafile=folder / "mx.test.pem")
