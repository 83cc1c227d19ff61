"""An SMTP client for delivery: one connection, one recipient a transaction, as few round trips as the peer allows.

RFC 5321, with STARTTLS (3207) and AUTH (4954); `mailpush.mail.letter` has the extensions that concern a message.
"""

import base64
import contextlib
import ipaddress
import ssl
from collections.abc import Callable
from typing import NamedTuple

from mailpush.mail.dane import NotVouchedFor
from mailpush.mail.dialog import ConnectFailed, ConnectionLost, Dialog, LoginRefused, Timeouts, TlsFailed
from mailpush.mail.letter import PARAMETER, Dsn, Flight, Letter, Step
from mailpush.mail.replies import SHUTTING_DOWN, Reply, Verdict
from mailpush.mail.tls import TlsDemand, TlsPolicy, context_for, why_refused
from mailpush.mail.wire import Wire, dial

__all__ = [
    "ConnectFailed",
    "ConnectionLost",
    "Dsn",
    "Letter",
    "LoginRefused",
    "Sent",
    "Session",
    "Step",
    "Timeouts",
    "TlsFailed",
    "TlsPolicy",
    "connect",
]

GO_AHEAD = 354
READY = 220
CONTINUE = 334
ACCEPTED, TEMPORARY = 2, 4  # the first digit

RFC_TIMEOUTS = Timeouts()

Following = Callable[[], Letter | None]


class Sent(NamedTuple):
    """What became of one message: the reply that decided, and where."""

    reply: Reply
    step: Step
    tls: bool


async def connect(
    address: str,
    port: int,
    *,
    helo: str,
    timeouts: Timeouts = RFC_TIMEOUTS,
    source_ip: str | None = None,
    tls: TlsPolicy = TlsPolicy.OPPORTUNISTIC,
    demand: TlsDemand | None = None,
    server_name: str = "",
    tls_context: ssl.SSLContext | None = None,
) -> "Session":
    """Connect, greet, and encrypt as the policy says.

    :param address: an IP address; names are looked up elsewhere.
    :param demand: what the server's side has published; it counts instead of the policy.
    :param server_name: the host's name, for SNI and its certificate.
    :raises TlsFailed: the handshake failed, or the policy demands TLS and there is none.
    :raises ConnectFailed: anything else; with the server's reply where it gave one.
    """
    context = tls_context or context_for(tls, demand)
    if demand:
        tls, server_name = TlsPolicy.REQUIRED, (*demand.names, server_name)[0]
    implicit = tls is TlsPolicy.IMPLICIT
    try:
        wire = await dial(
            address,
            port,
            source_ip=source_ip,
            tls=context if implicit else None,
            server_name=server_name or address,
            seconds=timeouts.connect,
        )
    except ssl.SSLError as error:
        raise TlsFailed("connect", why_refused(error)) from error
    except (OSError, ValueError) as error:  # ValueError: a name that TLS cannot carry
        raise ConnectFailed("connect", str(error) or "timed out") from error
    session = Session(wire, timeouts, is_encrypted=implicit)
    try:
        await session.open(helo)
        if tls in {TlsPolicy.OPPORTUNISTIC, TlsPolicy.REQUIRED} and await session.may_encrypt(tls, demand):
            await session.encrypt(context, server_name or None, demand)
            await session.hello(helo)
    except ConnectionLost as lost:
        wire.abort()
        raise ConnectFailed(lost.stage, lost.reason) from lost
    except BaseException:
        wire.abort()
        raise
    return session


class Session:
    """One open connection to one server; `send` as long as it is `reusable`."""

    def __init__(self, wire: Wire, timeouts: Timeouts, *, is_encrypted: bool) -> None:
        self.is_encrypted = is_encrypted
        self.offers: dict[str, str] = {}  # EHLO keywords; remove one and it is not used
        self.sent_count = 0
        self._announced: tuple[Letter, Flight] | None = None  # what has been written of it already
        self._dialog = Dialog(wire, timeouts)
        self._wire = wire
        self._timeouts = timeouts
        self._is_busy = True  # until the greetings are over; after that, inside a transaction
        self._patience = {
            Step.MAIL: timeouts.mail,
            Step.RCPT: timeouts.rcpt,
            Step.DATA: timeouts.data,
            Step.END_OF_DATA: timeouts.end_of_data,
        }

    @property
    def reusable(self) -> bool:
        """Tell whether another message may be sent over this connection."""
        return self._dialog.is_idle and not self._is_busy

    # Opening

    async def open(self, helo: str) -> None:
        """Read the banner and greet.

        :raises ConnectFailed: the server does not want us now.
        """
        banner = await self._dialog.reply("banner", self._timeouts.banner)
        if banner.code != READY:
            raise ConnectFailed("banner", str(banner), banner)
        await self.hello(helo)

    async def hello(self, helo: str) -> None:
        """Say EHLO, or HELO where that is not known, and note what is offered."""
        if not PARAMETER.fullmatch(helo):
            raise ValueError(f"{helo!r} is no name to greet with.")
        reply = await self._dialog.command(f"EHLO {helo}", "EHLO", self._timeouts.hello)
        self.offers = _offers(reply) if reply.verdict is Verdict.ACCEPTED else {}
        if reply.verdict is Verdict.REFUSED:
            reply = await self._dialog.command(f"HELO {helo}", "HELO", self._timeouts.hello)
        if reply.verdict is not Verdict.ACCEPTED:
            raise ConnectFailed("EHLO", str(reply), reply)
        self._is_busy = False

    async def may_encrypt(self, policy: TlsPolicy, demand: TlsDemand | None) -> bool:
        """Ask for TLS where it is offered.

        :raises TlsFailed: the policy demands it and the server will not.
        """
        reply = None
        if "STARTTLS" in self.offers:
            reply = await self._dialog.command("STARTTLS", "STARTTLS", self._timeouts.tls)
            if reply.code == READY:
                return True
        if policy is TlsPolicy.REQUIRED:
            raise TlsFailed("STARTTLS", f"{reply or 'not offered'}, but {demand or 'TLS is required'}", reply)
        return False

    async def encrypt(self, context: ssl.SSLContext, server_name: str | None, demand: TlsDemand | None) -> None:
        """Go on under TLS and forget all that was said in the open (RFC 3207 section 4.2)."""
        self._is_busy = True
        self._dialog.forget()
        try:
            await self._wire.encrypt(context, server_name=server_name, is_server=False, seconds=self._timeouts.tls)
            if demand:
                demand.check(self._wire.transport.get_extra_info("ssl_object"))
        except (OSError, ValueError, NotVouchedFor) as error:
            raise TlsFailed("STARTTLS", why_refused(error, demand)) from error
        self.offers = {}
        self.is_encrypted = True

    async def login(self, user: str, password: str) -> None:
        """Prove who we are to a relay, with AUTH PLAIN or LOGIN.

        :raises LoginRefused: the relay says no, or the line is open to listeners.
        """
        if not (self.is_encrypted or self._is_loopback()):
            raise LoginRefused("AUTH", "the connection is not encrypted, so the password was not sent")
        mechanisms = self.offers.get("AUTH", "").upper().split()
        if "PLAIN" in mechanisms:
            reply = await self._auth(f"AUTH PLAIN {_base64(f'{chr(0)}{user}{chr(0)}{password}')}")
        elif "LOGIN" in mechanisms:
            reply = await self._auth("AUTH LOGIN")
            for answer in (user, password):
                if reply.code == CONTINUE:
                    reply = await self._auth(_base64(answer))
        else:
            raise LoginRefused("AUTH", "the server offers neither PLAIN nor LOGIN")
        if reply.verdict is not Verdict.ACCEPTED:
            raise LoginRefused("AUTH", str(reply), reply)

    async def _auth(self, line: str) -> Reply:
        return await self._dialog.command(line, "AUTH", self._timeouts.login)

    def _is_loopback(self) -> bool:
        host = str(self._wire.transport.get_extra_info("peername")[0])
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback

    # Sending

    async def send(
        self, mail_from: str, rcpt_to: str, data: bytes, *, smtputf8: bool = False, dsn: Dsn | None = None
    ) -> Sent:
        """Send one message to one recipient; see `Letter` and `transfer`."""
        return await self.transfer(Letter(mail_from, rcpt_to, data, smtputf8=smtputf8, dsn=dsn))

    async def transfer(self, letter: Letter, following: Following | None = None) -> Sent:
        """Send a letter, and tell which reply decided it.

        :param following: called when the end of this letter is about to be written; where the server pipelines, the
            commands of the letter it returns go along, which saves a round trip. That letter must be the next one.
        :raises ConnectionLost: the connection broke before the server had decided.
        """
        announced, self._announced = self._announced, None
        is_announced = announced is not None and announced[0] is letter
        if announced is not None and is_announced:
            openings = [announced[1]]
        elif refusal := letter.refusal(self.offers):
            return Sent(refusal, Step.LOCAL, self.is_encrypted)
        elif not self.reusable:
            raise ConnectionLost("MAIL", during_data=False, reason="the connection was not open any more")
        else:
            openings = letter.openings(self.offers)
        self._is_busy = True  # and stays so when anything below goes wrong, a cancellation included
        self.sent_count += 1
        for flight in openings:
            if not is_announced:
                self._wire.write(flight.octets)
            if decided := await self._answers(flight.steps):
                return decided
        last = letter.ending(self.offers)
        ahead = self._announce(following) if following else b""
        self._wire.write(last.octets + ahead)
        if decided := await self._answers(last.steps):
            return decided
        raise AssertionError("The last flight always decides.")

    def _announce(self, following: Following) -> bytes:
        """Return the next letter's first commands, to ride on the end of this one, as RFC 2920 section 3.1 allows.

        BDAT takes one round trip a letter anyway.
        """
        if "PIPELINING" not in self.offers or "CHUNKING" in self.offers:
            return b""
        letter = following()
        if letter is None or letter.refusal(self.offers):
            return b""
        opening, *_ = letter.openings(self.offers)
        self._announced = letter, opening
        return opening.octets

    async def _answers(self, steps: tuple[Step, ...]) -> Sent | None:
        """Read an answer to each step; the first refusal or the last acceptance decides."""
        decided: Sent | None = None
        in_doubt = steps[-1] is Step.END_OF_DATA
        for step in steps:
            try:
                reply = self._dialog.at_hand() or await self._dialog.reply(
                    step, self._patience[step], in_doubt=in_doubt, goes_on=self._announced is not None
                )
                decided = decided or self._judge(step, reply, in_doubt=in_doubt)
            except ConnectionLost:
                if decided:  # what is lost is the rest of the conversation, not the answer
                    return decided
                raise
            if reply.code == SHUTTING_DOWN:
                return decided
        if decided and self._announced is None:
            await self._clear_up(decided, must_end_data=reply.code == GO_AHEAD)
        return decided

    def _judge(self, step: Step, reply: Reply, *, in_doubt: bool) -> Sent | None:
        """Return what this reply decides: a refusal, or the acceptance of the whole."""
        is_expected = reply.code == GO_AHEAD if step is Step.DATA else reply.code // 100 == ACCEPTED
        if is_expected:
            return Sent(reply, step, self.is_encrypted) if step is Step.END_OF_DATA else None
        if reply.verdict is Verdict.REFUSED or reply.code // 100 == TEMPORARY:
            return Sent(reply, step, self.is_encrypted)
        raise ConnectionLost(step, during_data=in_doubt, reason=f"the server is out of step: {reply}")

    async def _clear_up(self, decided: Sent, *, must_end_data: bool) -> None:
        """Bring the server back to the start of a transaction; where that fails the session is not reusable."""
        if self._wire.is_unsent:  # refused while we were still talking
            return
        if decided.step is not Step.END_OF_DATA or decided.reply.verdict is not Verdict.ACCEPTED:
            try:
                if must_end_data:  # RFC 2920 section 3.1: no recipient, yet DATA was taken
                    await self._dialog.command(".", "end of data", self._timeouts.reset)
                reply = await self._dialog.command("RSET", "RSET", self._timeouts.reset)
            except ConnectionLost:
                return
            if reply.verdict is not Verdict.ACCEPTED:
                return
        self._is_busy = False

    async def close(self) -> None:
        """Say goodbye where that makes sense, and close; does not raise."""
        if self.reusable:
            with contextlib.suppress(ConnectionLost):
                await self._dialog.command("QUIT", "QUIT", self._timeouts.quit)
            self._is_busy = True
            await self._wire.close()
        else:
            self._wire.abort()
            await self._wire.close()


def _offers(reply: Reply) -> dict[str, str]:
    """Return the keywords of an EHLO answer with their parameters; "AUTH=PLAIN" is an old spelling of "AUTH PLAIN"."""
    lines = (line.replace("=", " ", 1).split(maxsplit=1) for line in reply.text.split("\n")[1:])
    return {words[0].upper(): words[1] if len(words) > 1 else "" for words in lines if words}


def _base64(text: str) -> str:
    return base64.b64encode(text.encode()).decode("ascii")
