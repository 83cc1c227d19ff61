"""How many messages a second the submission door takes, each durable before its 250, beside others that take mail.

All are driven alike, in turns, by a process of its own whose connections log in once (where there is a login) and
pipeline their commands.
"""

import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from email.message import EmailMessage

from django.conf import settings

from mailpush.runtime.benchmarks import aiosmtpd_peer, postfix_peer, smtp_load
from mailpush.runtime.benchmarks.campaign import HTML, TEXT, customer
from mailpush.runtime.benchmarks.conditions import installed
from mailpush.runtime.benchmarks.measured import Measured
from mailpush.runtime.benchmarks.peers.peer import Unable
from mailpush.runtime.benchmarks.processes import started, wait_for_doors, wait_for_port
from mailpush.runtime.benchmarks.smtp_load import Load
from mailpush.runtime.benchmarks.throwaway import free_ports
from mailpush.runtime.parts import MANAGE, Part
from senders.services import senders
from sending.models import Message

ROUNDS = 3
WARM_UP = 200  # messages
OURS = "ours"
AIOSMTPD = "aiosmtpd, accepts and discards"
POSTFIX = "Postfix, accepts durably"


@dataclass(slots=True)
class Contender:
    """A server with the load for it, and what came of each round."""

    load: Load
    rates: list[float] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)

    def drive(self, number: int) -> None:
        answered = smtp_load.apply(replace(self.load, name=f"round-{number}"))
        self.rates.append(self.load.messages / answered.seconds)
        self.waits += answered.waits

    @property
    def rate(self) -> float:
        return round(statistics.median(self.rates), 1)


def run(messages: int, clients: int) -> Measured:
    """Measure our door and its peers, round by round."""
    with ExitStack() as stack:
        ours = stack.enter_context(_ours())
        load = replace(ours, messages=messages // ROUNDS, clients=clients)
        contenders = {OURS: Contender(load)}
        missing = []
        for name, peer in {AIOSMTPD: _aiosmtpd, POSTFIX: postfix_peer.running}.items():
            try:
                port = stack.enter_context(peer())
            except Unable as why:
                missing.append(f"Not compared: {name} ({why}).")
            else:
                contenders[name] = Contender(replace(load, port=port, password=""))
        for each in contenders.values():
            smtp_load.apply(replace(each.load, messages=WARM_UP, name="warm-up"))
        before = Message.objects.count()
        for number in range(ROUNDS):
            for each in contenders.values():
                each.drive(number)
        _check_stored(Message.objects.count() - before, ROUNDS * load.messages)
    return _measured(contenders, missing)


def _measured(contenders: dict[str, Contender], missing: list[str]) -> Measured:
    ours = contenders.pop(OURS)
    load = ours.load
    what = f"{load.messages} messages of {len(load.message)} bytes over {load.clients} connections"
    notes = [f"{ROUNDS} rounds of {what}, in turns; medians. One door process. Ours: {_listed(ours.rates)} / s."]
    notes += [
        f"Ours is {ours.rate / peer.rate:.2f} times {name}: {_listed(peer.rates)} / s."
        for name, peer in contenders.items()
    ]
    peers = {name: peer.rate for name, peer in contenders.items()}
    return Measured(
        {"accepted_per_s": ours.rate, "p99_ms": round(_p99(ours.waits) * 1000, 1), "peers": peers}, notes + missing
    )


@contextmanager
def _ours() -> Iterator[Load]:
    internet = Part("sandbox", (*MANAGE, "run_sandbox", "--discard"))
    door = Part("submission", (*MANAGE, "run_submission"), patience=10)
    with started([internet, door]):
        wait_for_doors(["sandbox", "submission"])
        sender = customer()
        bind = settings.MAILPUSH_SUBMISSION_BIND[0]
        password = senders.generate_smtp_password(sender.trigger_sender, by=sender.actor)
        address = sender.trigger_sender.address
        yield Load(bind.host, bind.port, address, password, _mail(address), messages=0, clients=0, name="")


@contextmanager
def _aiosmtpd() -> Iterator[int]:
    if not installed("aiosmtpd"):
        raise Unable("not installed")
    (port,) = free_ports(1)
    with started([Part("aiosmtpd", (sys.executable, "-m", aiosmtpd_peer.__name__, str(port)))]):
        wait_for_port(port)
        yield port


def _check_stored(stored: int, accepted: int) -> None:
    if stored != accepted:
        raise RuntimeError(f"{accepted} messages were accepted, but {stored} are stored.")


def _listed(rates: list[float]) -> str:
    return ", ".join(f"{rate:,.0f}" for rate in rates)


def _mail(sender: str) -> str:
    mail = EmailMessage()
    mail["From"] = f"Example <{sender}>"
    mail["To"] = "Ada <reader@north.example>"
    mail["Subject"] = "Your order is on its way"
    mail.set_content(TEXT)
    mail.add_alternative(HTML, subtype="html")
    return mail.as_bytes(policy=mail.policy.clone(linesep="\r\n")).decode()


def _p99(waits: list[float]) -> float:
    return sorted(waits)[int(len(waits) * 0.99)]
