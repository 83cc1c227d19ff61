"""How many messages a second the submission door takes, each durable before its 250.

The load comes from this process, over connections that log in once and pipeline their commands.
"""

import asyncio
import sys
from importlib.util import find_spec

from django.conf import settings

from mailpush.runtime.benchmarks import aiosmtpd_peer, smtp_load
from mailpush.runtime.benchmarks.campaign import customer, finished_mail
from mailpush.runtime.benchmarks.measured import Measured
from mailpush.runtime.benchmarks.processes import started, wait_for_doors, wait_for_port
from mailpush.runtime.benchmarks.throwaway import HOST, free_ports
from mailpush.runtime.parts import MANAGE, Part
from senders.services import senders
from sending.models import Message

PEER = "aiosmtpd accept+discard"
WARM_UP = 200  # messages


def run(messages: int, clients: int) -> Measured:
    """Measure our door, then the peers."""
    internet = Part("sandbox", (*MANAGE, "run_sandbox", "--discard"))
    door = Part("submission", (*MANAGE, "run_submission"), patience=10)
    with started([internet, door]):
        wait_for_doors(["sandbox", "submission"])
        sender = customer()
        bind = settings.MAILPUSH_SUBMISSION_BIND[0]
        password = senders.generate_smtp_password(sender.trigger_sender, by=sender.actor)
        address = sender.trigger_sender.address
        load = smtp_load.Load(bind.host, bind.port, address, password, finished_mail(address))
        asyncio.run(smtp_load.submit(load, messages=WARM_UP, clients=clients))
        stored = Message.objects.count()
        seconds, waits = asyncio.run(smtp_load.submit(load, messages=messages, clients=clients))
        if (stored := Message.objects.count() - stored) != messages:
            raise RuntimeError(f"{messages} messages were accepted, but {stored} are stored.")
    peers, notes = _peers(load, messages=messages, clients=clients)
    return Measured(
        {"accepted_per_s": round(messages / seconds, 1), "p99_ms": round(_p99(waits) * 1000, 1), "peers": peers},
        [f"{messages} messages of {len(load.message)} bytes over {clients} connections, one door process.", *notes],
    )


def _peers(load: smtp_load.Load, *, messages: int, clients: int) -> tuple[dict[str, float], list[str]]:
    if find_spec("aiosmtpd") is None:
        return {}, [f"Not compared, as not installed: {PEER}."]
    (port,) = free_ports(1)
    server = Part("aiosmtpd", (sys.executable, "-m", aiosmtpd_peer.__name__, str(port)))
    with started([server]):
        wait_for_port(port)
        open_load = smtp_load.Load(HOST, port, load.sender, "", load.message)
        seconds, _ = asyncio.run(smtp_load.submit(open_load, messages=messages, clients=clients))
    return {PEER: round(messages / seconds, 1)}, []


def _p99(waits: list[float]) -> float:
    return sorted(waits)[int(len(waits) * 0.99)]
