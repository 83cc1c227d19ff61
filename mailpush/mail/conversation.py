"""The server's side of an SMTP conversation (RFC 5321), command by command.

Pipelined commands are obeyed in order and their replies leave in one write (RFC 2920). A message with a bare CR or
LF is refused, lest another server reads its lines differently. Answers carry an RFC 3463 code and say what to do.
"""

import ipaddress
import logging
from collections.abc import Awaitable, Callable

from mailpush.mail.door import AuthPolicy, Service, Session
from mailpush.mail.envelope import BadCommand, Envelope, Recipient, read_mail, read_rcpt
from mailpush.mail.intake import Farewell, Intake
from mailpush.mail.replies import SHUTTING_DOWN, Reply, Verdict
from mailpush.mail.sasl import read_login, read_plain
from mailpush.mail.wire import PeerGone, PeerSlow, Wire

logger = logging.getLogger(__name__)

JUNK = frozenset({"NOOP", "RSET", "VRFY", "EXPN", "HELP", "EHLO", "HELO"})
WITH_PARAMETERS = frozenset({"MAIL", "RCPT", "AUTH"})

OK = Reply(250, "2.0.0 OK")
GOODBYE = Reply(221, "2.0.0 Goodbye")
GO_AHEAD = Reply(354, "Send the message, end it with a dot on a line of its own")
BARE_LINE_END = Reply(550, "5.6.0 The message has a bare CR or LF; end every line with CRLF and send it again")
NO_SENDER = Reply(503, "5.5.1 Say MAIL FROM first")
NO_RECIPIENT = Reply(554, "5.5.1 No recipient was accepted, so there is nobody to take the message for")
IN_CHUNKS = Reply(503, "5.5.1 The message has begun with BDAT; end it with BDAT LAST or say RSET")


class Conversation:
    """One connection from banner to close."""

    def __init__(self, wire: Wire, service: Service, session: Session) -> None:
        self._wire = wire
        self._service = service
        self._limits = service.limits
        self._session = session
        self._intake = Intake(wire, service.limits)
        self._chunks = bytearray()
        self._errors = 0
        self._junk = 0
        self._commands: dict[str, Callable[[str], Awaitable[Reply | None]]] = {
            "EHLO": self._ehlo,
            "HELO": self._helo,
            "STARTTLS": self._starttls,
            "AUTH": self._auth,
            "MAIL": self._mail,
            "RCPT": self._rcpt,
            "DATA": self._data,
            "BDAT": self._bdat,
            "RSET": self._rset,
            "NOOP": self._noop,
            "VRFY": self._vrfy,
            "EXPN": self._expn,
            "HELP": self._help,
            "QUIT": self._quit,
        }

    async def run(self) -> None:
        """Talk until one side has had enough; never raises but when cancelled."""
        try:
            await self._talk()
        except Farewell as farewell:
            self._intake.say(farewell.reply)
        except PeerSlow:
            self._intake.say(Reply(SHUTTING_DOWN, "4.4.2 Nothing came for too long; connect again"))
        except PeerGone:
            pass
        except Exception:  # a bug of ours must not look like a verdict on the message
            logger.exception("SMTP conversation with %s broke off", self._session.peer)
            self._intake.say(Reply(SHUTTING_DOWN, "4.3.0 Something is wrong here; try again later"))
        finally:
            self._intake.flush()
            await self._close()

    def leave(self) -> None:
        """End the conversation as soon as no message is under way."""
        self._intake.leave()

    async def _close(self) -> None:
        try:
            await self._service.door.closed(self._session)
        except Exception:
            logger.exception("Door failed at the end of a conversation")
        finally:
            await self._wire.close()

    # Lines and replies

    async def _talk(self) -> None:
        service, session = self._service, self._session
        greeting = await service.door.connected(session) or Reply(220, f"{service.hostname} ESMTP ready")
        self._intake.say(greeting)
        while greeting.verdict is Verdict.ACCEPTED:
            try:
                reply = await self._obey(await self._next_line())
            except BadCommand as bad:
                reply = bad.reply
                self._errors += 1
            if reply:
                self._intake.say(session.spoken(reply))
                if reply.code in {GOODBYE.code, SHUTTING_DOWN}:
                    return
            if self._errors >= self._limits.errors:
                raise Farewell(SHUTTING_DOWN, "4.7.0 Too many errors; check your mail program and connect again")

    async def _next_line(self) -> str:
        return await self._intake.line(self._limits.line, is_idle=self._session.envelope is None)

    async def _obey(self, line: str) -> Reply | None:
        verb, _, argument = line.partition(" ")
        verb = verb.upper()
        command = self._commands.get(verb)
        if command is None:
            raise BadCommand(500, "5.5.1 That command is not known here; HELP lists those that are")
        if len(line) > self._limits.bare_line and verb not in WITH_PARAMETERS:
            raise BadCommand(500, "5.5.6 The line is too long")
        if verb in JUNK:
            self._count_junk()
        return await command(argument)

    # Greeting, TLS, AUTH

    async def _ehlo(self, name: str) -> Reply:
        self._greet(name, "EHLO")
        self._session.is_esmtp = True
        offers = ["PIPELINING", f"SIZE {self._limits.message_size}", "8BITMIME", "SMTPUTF8"]
        offers += ["ENHANCEDSTATUSCODES", "CHUNKING", "DSN"]
        if self._service.tls_context and not self._session.is_encrypted:
            offers.append("STARTTLS")
        if self._may_login():
            offers.append("AUTH PLAIN LOGIN")
        return Reply(250, "\n".join([self._service.hostname, *offers]))

    async def _helo(self, name: str) -> Reply:
        self._greet(name, "HELO")
        return Reply(250, self._service.hostname)

    def _greet(self, name: str, verb: str) -> None:
        """Start afresh, but do not forget who logged in: a second EHLO is allowed at any time (section 4.1.4)."""
        name = name.strip()
        if not name or " " in name:
            raise BadCommand(501, f"5.5.4 Say {verb} and the name of your machine")
        self._reset()
        self._session.helo = name

    async def _starttls(self, argument: str) -> None:
        session, context = self._session, self._service.tls_context
        if context is None or session.is_encrypted:
            raise BadCommand(503, "5.5.1 TLS is not offered, or already in use")
        if argument:
            raise BadCommand(501, "5.5.4 STARTTLS stands alone")
        if self._wire.received:
            # RFC 3207 section 4: what follows in the open could be anybody's, and would be obeyed as the client's.
            raise Farewell(SHUTTING_DOWN, "4.7.0 Nothing may follow STARTTLS until TLS has begun; connect again")
        self._intake.say(Reply(220, "2.0.0 Begin TLS"))
        self._intake.flush()
        try:
            await self._wire.encrypt(context, server_name=None, is_server=True, seconds=self._limits.tls_seconds)
        except OSError as error:
            raise PeerGone from error
        self._reset()
        session.is_encrypted, session.helo, session.user = True, "", ""
        session.account, session.codes = None, {}

    def _may_login(self) -> bool:
        match self._service.auth:
            case AuthPolicy.NONE:
                return False
            case AuthPolicy.TLS:
                return self._session.is_encrypted
            case AuthPolicy.ANYWHERE:
                return True
            case AuthPolicy.TLS_OR_LOOPBACK:
                return self._session.is_encrypted or ipaddress.ip_address(self._session.peer).is_loopback

    async def _auth(self, argument: str) -> Reply:
        self._check_may_auth()
        mechanism, _, initial = argument.partition(" ")
        match mechanism.upper():
            case "PLAIN":
                user, password = await read_plain(initial, self._challenge)
            case "LOGIN":
                user, password = await read_login(initial, self._challenge)
            case _:
                raise BadCommand(504, "5.5.4 Only AUTH PLAIN and AUTH LOGIN are known here")
        reply = await self._service.door.auth(self._session, user, password) or Reply(235, "2.7.0 Welcome")
        if reply.verdict is Verdict.ACCEPTED:
            self._session.user = user
        else:
            self._errors += 1
        return reply

    def _check_may_auth(self) -> None:
        if self._service.auth is AuthPolicy.NONE:
            raise BadCommand(502, "5.5.1 No login is needed here; go on with MAIL FROM")
        if not self._may_login():
            raise BadCommand(538, "5.7.11 Passwords are taken over TLS only; say STARTTLS first")
        if not self._session.is_esmtp:
            raise BadCommand(503, "5.5.1 Say EHLO first")
        if self._session.user:
            raise BadCommand(503, f"5.5.1 You are already logged in as {self._session.user}")
        if self._session.envelope:
            raise BadCommand(503, "5.5.1 Log in before MAIL FROM, or say RSET first")

    async def _challenge(self, prompt: str) -> str:
        self._intake.say(Reply(334, prompt))
        return await self._intake.line(self._limits.auth_line)

    # The transaction

    async def _mail(self, argument: str) -> Reply:
        session = self._session
        if not session.helo:
            raise BadCommand(503, "5.5.1 Say EHLO first")
        if session.envelope:
            raise BadCommand(503, "5.5.1 A message is already under way; say RSET to start anew")
        mail_from, params = read_mail(argument)
        if int(params.get("SIZE") or 0) > self._limits.message_size:
            return self._too_big()
        reply = await self._service.door.mail(session, mail_from, params)
        if reply.verdict is Verdict.ACCEPTED:
            session.envelope = Envelope(mail_from, params)
            self._junk = 0
        return reply

    async def _rcpt(self, argument: str) -> Reply:
        envelope = self._session.envelope
        if envelope is None:
            return self._out_of_turn(NO_SENDER)
        if self._chunks:
            return self._out_of_turn(IN_CHUNKS)
        rcpt_to, params = read_rcpt(argument, is_utf8=envelope.is_utf8)
        if len(envelope.rcpts) >= self._limits.recipients:
            return Reply(
                452, f"4.5.3 {self._limits.recipients} recipients are the most; send the rest in another message"
            )
        reply = await self._service.door.rcpt(self._session, rcpt_to, params)
        if reply.verdict is Verdict.ACCEPTED:
            envelope.rcpts.append(Recipient(rcpt_to, params))
        return reply

    async def _data(self, argument: str) -> Reply:
        if refusal := self._why_not_send():
            return self._out_of_turn(refusal)
        if self._chunks:
            return self._out_of_turn(IN_CHUNKS)
        if argument:
            raise BadCommand(501, "5.5.4 DATA stands alone")
        self._intake.say(GO_AHEAD)
        content = await self._intake.read_to_dot()
        if content is None or len(content) > self._limits.message_size:
            self._reset()
            return self._too_big()
        return await self._deliver(content)

    async def _bdat(self, argument: str) -> Reply:
        """Take a chunk (RFC 3030). Its bytes are read whatever is wrong: the client has sent them already."""
        size, *last = argument.upper().split() or [""]
        if not (size.isdecimal() and size.isascii() and len(size) < 20 and last in ([], ["LAST"])):  # noqa: PLR2004
            raise Farewell(501, "5.5.4 Say BDAT, the number of bytes, and LAST for the last chunk; connect again")
        if refusal := self._why_not_send():
            await self._intake.skip(int(size))
            return self._out_of_turn(refusal)
        if len(self._chunks) + int(size) > self._limits.message_size:
            self._reset()
            await self._intake.skip(int(size))
            return self._too_big()
        self._chunks += await self._intake.take(int(size))
        if last:
            return await self._deliver(bytes(self._chunks))
        return Reply(250, f"2.0.0 {size} bytes taken")

    def _why_not_send(self) -> Reply | None:
        if self._session.envelope is None:
            return NO_SENDER
        return None if self._session.envelope.rcpts else NO_RECIPIENT

    def _out_of_turn(self, reply: Reply) -> Reply:
        """Count as junk, not as an error: pipelined commands behind a refused one are nobody's mistake."""
        self._count_junk()
        return reply

    def _count_junk(self) -> None:
        self._junk += 1
        self._errors += self._junk > self._limits.junk

    async def _deliver(self, content: bytes) -> Reply:
        """Hand the message to the door; the transaction is over, whatever it says."""
        try:
            if not content.count(b"\n") == content.count(b"\r") == content.count(b"\r\n"):
                return BARE_LINE_END
            reply = await self._service.door.data(self._session, content)
        finally:
            self._reset()
        if reply.verdict is Verdict.ACCEPTED:
            self._errors = 0
        return reply

    def _too_big(self) -> Reply:
        return Reply(552, f"5.3.4 The message is too big; {self._limits.message_size} bytes are the most")

    def _reset(self) -> None:
        self._session.envelope = None
        self._chunks = bytearray()

    # The rest

    async def _rset(self, argument: str) -> Reply:  # noqa: ARG002 one signature for all
        self._reset()
        return OK

    async def _noop(self, argument: str) -> Reply:  # noqa: ARG002
        return OK

    async def _vrfy(self, argument: str) -> Reply:  # noqa: ARG002
        return Reply(252, "2.1.5 Addresses are not looked up here; send the message to find out")

    async def _expn(self, argument: str) -> Reply:  # noqa: ARG002
        raise BadCommand(502, "5.5.1 Lists are not shown here")

    async def _help(self, argument: str) -> Reply:  # noqa: ARG002
        return Reply(214, f"2.0.0 Commands: {' '.join(self._commands)}")

    async def _quit(self, argument: str) -> Reply:  # noqa: ARG002
        return GOODBYE
