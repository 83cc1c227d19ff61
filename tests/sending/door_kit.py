"""The submission door in a thread of the test's process, and what a mail program does at it."""

import asyncio
import base64
import smtplib
import socket
import ssl
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from email.message import EmailMessage

from accounts.actors import Actor
from mailpush.mail.certificate import server_context
from mailpush.mail.door import AuthPolicy, Limits
from mailpush.mail.server import listen
from senders.models import Sender
from senders.services import senders
from sending.smtp.submission import SubmissionDoor
from tests.threaded import InThread

HOST = "127.0.0.1"


class OpenDoor(InThread):
    """Listens on a port with STARTTLS and on one with implicit TLS until left."""

    def __init__(self, limits: Limits = Limits(), *, tls: ssl.SSLContext | None = None) -> None:  # noqa: B008
        self._limits = limits
        self._tls = tls or server_context("door.test")
        self.port = self.tls_port = 0

    @asynccontextmanager
    async def opened(self):
        door = SubmissionDoor()
        common = {
            "hostname": "door.test",
            "limits": self._limits,
            "auth": AuthPolicy.TLS_OR_LOOPBACK,
            "tls_context": self._tls,
        }
        listeners = [await listen(door, HOST, 0, **common), await listen(door, HOST, 0, implicit_tls=True, **common)]
        self.port, self.tls_port = (listener.port for listener in listeners)
        yield
        await asyncio.gather(*(listener.close(grace=2) for listener in listeners))
        await door.close()


def password_for(sender: Sender) -> str:
    return senders.generate_smtp_password(sender, by=Actor.platform(sender.account))


def mail_from(sender: str, **fields: str) -> EmailMessage:
    mail = EmailMessage()
    mail["From"] = f"Shop <{sender}>"
    mail["To"] = "ann@north.example"
    mail["Subject"] = "Your code"
    for name, value in fields.items():
        mail[name.replace("_", "-")] = value
    mail.set_content("123 456\n")
    return mail


@dataclass
class Program:
    """A mail program that is logged in and says what it is told; `codes` has what it was answered."""

    port: int
    user: str
    password: str
    replies: list[tuple[int, str]] = field(default_factory=list)

    def __enter__(self):
        self._smtp = smtplib.SMTP(HOST, self.port, local_hostname="program.test", timeout=20)
        self._smtp.ehlo()
        plain = base64.b64encode(f"\0{self.user}\0{self.password}".encode()).decode()
        self.say(f"AUTH PLAIN {plain}")
        return self

    def __exit__(self, *_exc):
        self._smtp.close()

    def say(self, line: str) -> int:
        code, text = self._smtp.docmd(line)
        self.replies.append((code, text.decode()))
        return code

    def send(self, mime: bytes | EmailMessage, *recipients: str, sender: str = "") -> int:
        """Say everything of one message; return the last code."""
        if isinstance(mime, EmailMessage):
            mime = mime.as_bytes(policy=mime.policy.clone(linesep="\r\n"))
        self.say(f"MAIL FROM:<{sender or self.user}>")
        for recipient in recipients:
            self.say(f"RCPT TO:<{recipient}>")
        if self.say("DATA") != 354:
            return self.last[0]
        self._smtp.send(mime.replace(b"\r\n.", b"\r\n..") + b".\r\n")
        code, text = self._smtp.getreply()
        self.replies.append((code, text.decode()))
        return code

    @property
    def last(self) -> tuple[int, str]:
        return self.replies[-1]

    @property
    def codes(self) -> list[int]:
        return [code for code, _ in self.replies]

    def hang_up(self) -> None:
        self._smtp.sock.shutdown(socket.SHUT_RDWR)
