"""Foreign servers that tests start for themselves, each on loopback with a folder of its own."""

import os
import shutil
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Self

import dns.dnssec
import dns.exception
import dns.message
import dns.query
import dns.rdatatype
import dns.zone
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from mailpush.runtime.benchmarks import own_postfix
from tests.ports import HOST, free_port

PATIENCE = 90  # seconds for a start or a reload, on a busy machine
SBIN = "/usr/sbin:/sbin"  # where Debian keeps servers; not on everybody's path


def program(name: str) -> str:
    """Return where a program is; skip the test where it is missing, fail it in CI."""
    found = shutil.which(name, path=f"{os.environ.get('PATH', '')}:{SBIN}")
    if found:
        return found
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is missing.")
    pytest.skip(f"{name} is not installed.")


def must_be_root(why: str) -> None:
    if os.geteuid():
        pytest.skip(why)


class Program:
    """A server in the foreground for the length of a block."""

    command: list[str]

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        self.log = folder / "output.log"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_exc: object) -> None:
        self.stop()

    def start(self) -> None:
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(self.command, cwd=self.folder, stdout=log, stderr=log)
        self.wait_until(self.is_up)

    def stop(self) -> None:
        self._process.terminate()
        self._process.wait(PATIENCE)

    def is_up(self) -> bool:
        with suppress(OSError), socket.create_connection((HOST, self.port), timeout=1):
            return True
        return False

    def wait_until(self, condition) -> None:
        end = time.monotonic() + PATIENCE
        while not condition():
            code = self._process.poll()
            if code is not None or time.monotonic() > end:
                pytest.fail(f"{self.command[0]} ({code}): {self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)


class Nsd(Program):
    """NLnet Labs' authoritative name server, for the whole world of names; short ones are below `example`."""

    FIXED = """$TTL 1
. SOA ns.example. root.example. {serial} 3600 600 86400 1
. NS ns.example.
ns.example. A 127.0.0.1
$ORIGIN example.
"""

    def __init__(self, folder: Path, *, is_signed: bool = False) -> None:
        super().__init__(folder)
        self._serial = 0
        self._key = ec.generate_private_key(ec.SECP256R1()) if is_signed else None
        self._write([])
        settings = folder / "nsd.conf"
        settings.write_text(
            f"""
server:
    ip-address: {HOST}@{self.port}
    server-count: 1
    username: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    zonelistfile: "{folder}/zone.list"
    xfrdfile: "{folder}/xfrd.state"
    xfrdir: "{folder}"
remote-control:
    control-enable: no
zone:
    name: "."
    zonefile: world.zone
"""
        )
        self.command = [program("nsd"), "-d", "-c", str(settings)]

    def publish(self, *lines: str) -> None:
        """Serve these lines of a zone file, and nothing else but its frame.

        By a new start: after a reload the old processes answer for a moment longer.
        """
        self.stop()
        self._write(lines)
        self.start()

    def txt(self, name: bytes, timeout: float = 5) -> bytes:
        """Look a text record up, as dkimpy asks its `dnsfunc` to."""
        question = dns.message.make_query(name.decode(), dns.rdatatype.TXT, use_edns=0, payload=4096)
        answer = dns.query.udp(question, HOST, port=self.port, timeout=timeout)
        return b"".join(answer.answer[0][0].strings) if answer.answer else b""

    def is_up(self) -> bool:
        return self._served_serial() == self._serial

    def _write(self, lines) -> None:
        self._serial += 1
        zone = self.FIXED.format(serial=self._serial) + "\n".join(lines) + "\n"
        (self.folder / "world.zone").write_text(self._signed(zone) if self._key else zone)

    @property
    def trust_anchor(self) -> str:
        """Return what a validating resolver has to believe from the start."""
        return f". DNSKEY {self._dns_key}"

    @property
    def _dns_key(self):
        return dns.dnssec.make_dnskey(self._key.public_key(), dns.dnssec.Algorithm.ECDSAP256SHA256, flags=257)

    def _signed(self, text: str) -> str:
        zone = dns.zone.from_text(text, origin=".", relativize=False)
        with zone.writer() as writing:
            dns.dnssec.sign_zone(zone, txn=writing, keys=[(self._key, self._dns_key)], lifetime=3600)
        return zone.to_text()

    def _served_serial(self) -> int:
        question = dns.message.make_query(".", dns.rdatatype.SOA)
        with suppress(OSError, dns.exception.DNSException):
            answer = dns.query.udp(
                question, HOST, port=self.port, timeout=0.1
            ).answer  # before it is up nothing says so
            return answer[0][0].serial if answer else 0
        return 0


class Unbound(Program):
    """NLnet Labs' validating resolver; it knows the world from a name server whose zone is signed."""

    def __init__(self, folder: Path, nsd: Nsd) -> None:
        super().__init__(folder)
        settings = folder / "unbound.conf"
        settings.write_text(
            f"""
server:
    interface: {HOST}@{self.port}
    do-daemonize: no
    username: ""
    chroot: ""
    directory: "{folder}"
    pidfile: ""
    use-syslog: no
    do-not-query-localhost: no
    cache-max-ttl: 0
    trust-anchor: "{nsd.trust_anchor}"
remote-control:
    control-enable: no
stub-zone:
    name: "."
    stub-addr: {HOST}@{nsd.port}
"""
        )
        self.command = [program("unbound"), "-d", "-c", str(settings)]


class OpenDkim(Program):
    """A filter that verifies what a mail server receives; it knows the keys that it was given."""

    def __init__(self, folder: Path, keys: dict[str, str]) -> None:
        super().__init__(folder)
        (folder / "keys").write_text("".join(f"{name} {record}\n" for name, record in keys.items()))
        settings = folder / "opendkim.conf"
        settings.write_text(
            f"""
Background no
Mode v
Socket inet:{self.port}@{HOST}
TestDNSData file:{folder}/keys
AuthservID mx.north.example
AlwaysAddARHeader yes
RequireSafeKeys no
PidFile {folder}/opendkim.pid
"""
        )
        self.command = [program("opendkim"), "-f", "-x", str(settings)]

    def stop(self) -> None:
        self._process.kill()  # asked politely it takes five seconds
        self._process.wait(PATIENCE)


class SmtpSink(Program):
    """Postfix's test server: it takes everything and writes each mail to a file."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self._mails = folder / "mails"
        self._mails.mkdir()
        # It insists on another user when it is root, and then writes where that one may.
        self._mails.chmod(0o777)
        as_root = ["-u", "nobody", "-R", str(folder)] if os.geteuid() == 0 else []
        self.command = [program("smtp-sink"), *as_root, "-d", "mails/%M.", f"{HOST}:{self.port}", "100"]

    @property
    def mails(self) -> list[tuple[dict[str, str], bytes]]:
        """Each mail as its envelope (`X-Mail-Args`, `X-Rcpt-Args`…) and its bytes."""
        return [_opened(path.read_bytes()) for path in sorted(self._mails.iterdir())]


def _opened(dumped: bytes) -> tuple[dict[str, str], bytes]:
    """Cut a dump after the `Received` header that the sink has put before the mail."""
    envelope, _, rest = dumped.partition(b"Received: ")
    lines = rest.split(b"\n")
    ours = next(n for n, line in enumerate(lines[1:], 1) if not line.startswith((b"\t", b" ")))
    notes = (line.partition(": ") for line in envelope.decode().splitlines())
    return {name: value for name, _, value in notes}, b"\r\n".join(line.rstrip(b"\r") for line in lines[ours:])


class OwnPostfix(Program):
    """An instance of Postfix with these lines of main.cf."""

    def lay_out(self, settings: str) -> None:
        self._postfix = program("postfix")
        own_postfix.lay_out(self.folder, self.port, settings)
        self.command = own_postfix.in_foreground(self._postfix, self.folder)

    def stop(self) -> None:
        own_postfix.stop(self._postfix, self.folder)
        super().stop()


class PostfixRelay(OwnPostfix):
    """A Postfix that takes mail on this machine and hands it to a smart host, with a login and over TLS."""

    SETTINGS = """
myhostname = office.shop.example
message_size_limit = 0
smtpd_relay_restrictions = permit_mynetworks, reject
relayhost = [127.0.0.1]:{door}
smtp_tls_security_level = encrypt
smtp_tls_wrappermode = {wrapped}
smtp_sasl_auth_enable = yes
smtp_sasl_password_maps = texthash:{folder}/passwords
smtp_sasl_security_options = noanonymous
"""

    def __init__(self, folder: Path, *, door: int, is_wrapped: bool, user: str, password: str) -> None:
        super().__init__(folder)
        (folder / "passwords").write_text(f"[127.0.0.1]:{door} {user}:{password}\n")
        self.lay_out(self.SETTINGS.format(folder=folder, door=door, wrapped="yes" if is_wrapped else "no"))


class Postfix(OwnPostfix):
    """A whole Postfix for the domains of its mailboxes, with STARTTLS; `extra` are lines of main.cf."""

    SETTINGS = """
myhostname = mx.north.example
virtual_mailbox_domains = {domains}
virtual_mailbox_maps = texthash:{folder}/mailboxes
virtual_mailbox_base = {folder}/boxes
virtual_uid_maps = static:65534
virtual_gid_maps = static:65534
virtual_minimum_uid = 1000
smtpd_tls_security_level = {tls}
smtpd_tls_cert_file = {folder}/door.pem
smtpd_tls_key_file = {folder}/door.pem
smtpd_recipient_restrictions = reject_unauth_destination
smtpd_relay_restrictions = reject_unauth_destination
{extra}
"""

    def __init__(
        self, folder: Path, *, mailboxes: tuple[str, ...], pem: bytes, tls: str = "may", extra: str = ""
    ) -> None:
        super().__init__(folder)
        domains = " ".join({address.partition("@")[2] for address in mailboxes})
        (folder / "boxes").mkdir()
        (folder / "boxes").chmod(0o777)
        (folder / "door.pem").write_bytes(pem)
        (folder / "mailboxes").write_text("".join(f"{address} {address}/\n" for address in mailboxes))
        os.utime(folder / "mailboxes", (0, 0))  # Postfix waits seconds for a file that somebody may still be writing
        self.lay_out(self.SETTINGS.format(folder=folder, domains=domains, tls=tls, extra=extra))

    def mails_of(self, address: str) -> list[bytes]:
        return [path.read_bytes() for path in (self.folder / "boxes" / address / "new").glob("*")]

    def wait_for_mail(self, address: str) -> bytes:
        """Return what was put into a mailbox; that happens after the sender has had its answer."""
        self.wait_until(lambda: bool(self.mails_of(address)))
        return self.mails_of(address)[0]
