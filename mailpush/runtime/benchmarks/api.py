"""How many calls a second the APIs answer, each when what it accepts is durable, beside a bare view on the same server.

The requests are written and signed before; they are sent in rounds, so that what else the machine does meets all alike.
"""

import asyncio
import json
import statistics
from collections.abc import Callable, Iterator
from datetime import datetime
from urllib.parse import urlencode
from uuid import uuid4

from django.conf import settings
from django.utils import timezone

from accounts.models import Role
from accounts.services import access_keys
from mailpush.rpc import signatures
from mailpush.rpc.models import OperationLimit
from mailpush.runtime.benchmarks import bare_server, bare_view, http_load
from mailpush.runtime.benchmarks.campaign import PLACES, Customer, customer
from mailpush.runtime.benchmarks.measured import Measured
from mailpush.runtime.benchmarks.processes import started, wait_for_doors, wait_for_port
from mailpush.runtime.parts import MANAGE, PYTHON, Part
from sending.models import Message

ROUNDS = 3
WARM_UP = 200  # requests
MESSAGES_A_CALL = 100
MESSAGES_PATH = "/api/v1/messages"
HTML = "<html><body><h1>Your code</h1><p>It is <b>123456</b> and good for ten minutes.</p></body></html>"

Requests = Callable[[int], list[bytes]]


def run(requests: int, clients: int) -> Measured:
    """Measure the bare view, single sends and the REST API's calls."""
    internet = Part("sandbox", (*MANAGE, "run_sandbox", "--discard"))
    web = Part("web", (*PYTHON, "-m", bare_server.__name__), patience=10)
    bind = settings.MAILPUSH_WEB_BIND
    with started([internet]):
        wait_for_doors(["sandbox"])
        load = Load(customer())
        kinds: dict[str, Requests] = {"bare_view": load.bare, "single_send": load.single, "messages": load.messages}
        with started([web]):
            wait_for_port(bind.port)
            rates = {name: _Rates() for name in kinds}
            for number in range(ROUNDS + 1):
                for name, make in kinds.items():
                    some = make(_share(name, requests if number else WARM_UP))
                    stored = Message.objects.count()
                    seconds = asyncio.run(http_load.send(bind.host, bind.port, some, clients=clients))
                    _must_be_stored(name, Message.objects.count() - stored, len(some))
                    if number:
                        rates[name].append(len(some) / seconds)
    return _measured(rates, requests, clients)


class _Rates(list[float]):
    @property
    def median(self) -> float:
        return statistics.median(self)


class Load:
    """Requests of a customer, ready to be sent."""

    def __init__(self, of: Customer) -> None:
        self._sender = of.trigger_sender.address
        self._key, self._secret = access_keys.create(by=of.actor, label="bench", role=Role.OWNER, now=timezone.now())
        OperationLimit.objects.create(account=of.account, calls=1_000_000)
        self._host = str(settings.MAILPUSH_WEB_BIND)

    def bare(self, count: int) -> list[bytes]:
        body = json.dumps({"action": "bench", "target": "a row", "actor": "reader@north.example"}).encode()
        return [self._request(bare_view.PATH, body, {"Content-Type": "application/json"})] * count

    def single(self, count: int) -> list[bytes]:
        """Return calls of SingleSendMail as DirectMail's SDK for Python makes them."""
        now = timezone.now()
        return [self._signed(number, now) for number in range(count)]

    def messages(self, count: int) -> list[bytes]:
        """Return calls with MESSAGES_A_CALL messages each, of one recipient each with variables of their own."""
        head = {
            "Content-Type": "application/json",
            "Authorization": f"Bearer {self._key.key_id}.{self._secret}",
        }
        return [self._request(MESSAGES_PATH, body, head) for body in self._bodies(count)]

    def _bodies(self, count: int) -> Iterator[bytes]:
        body = {"sender": self._sender, "subject": "Your code", "html": HTML, "text": "It is {Code}."}
        for number in range(count):
            recipients = [
                {"address": f"reader-{number}-{n}@{PLACES[n % len(PLACES)]}", "variables": {"Code": str(n)}}
                for n in range(MESSAGES_A_CALL)
            ]
            yield json.dumps({**body, "recipients": recipients}).encode()

    def _signed(self, number: int, now: datetime) -> bytes:
        form = {
            "AccountName": self._sender,
            "AddressType": "1",
            "HtmlBody": HTML,
            "ReplyToAddress": "False",
            "Subject": "Your code",
            "ToAddress": f"reader-{number}@{PLACES[number % len(PLACES)]}",
        }
        body = urlencode(form).encode()
        digest = signatures.v3_hash(signatures.V3_SHA256, body)
        headers = {
            "host": self._host,
            "x-acs-action": "SingleSendMail",
            "x-acs-version": "2015-11-23",
            "x-acs-date": f"{now:%Y-%m-%dT%H:%M:%SZ}",
            "x-acs-signature-nonce": uuid4().hex,
            "x-acs-content-sha256": digest,
            "content-type": "application/x-www-form-urlencoded",
        }
        request = signatures.v3_canonical_request("POST", [], headers, headers, digest)
        signature = signatures.v3_signature(
            signatures.V3_SHA256, signatures.v3_string_to_sign(signatures.V3_SHA256, request), self._secret
        )
        names = ";".join(sorted(headers))
        proof = f"{signatures.V3_SHA256} Credential={self._key.key_id},SignedHeaders={names},Signature={signature}"
        return self._request("/", body, {**headers, "authorization": proof})

    def _request(self, path: str, body: bytes, headers: dict[str, str]) -> bytes:
        fields = {"host": self._host, **headers, "content-length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in fields.items())
        return f"POST {path} HTTP/1.1\r\n{lines}\r\n".encode() + body


def _share(name: str, requests: int) -> int:
    return max(requests // 20, 10) if name == "messages" else requests


def _must_be_stored(name: str, stored: int, calls: int) -> None:
    wanted = {"bare_view": 0, "single_send": calls, "messages": calls * MESSAGES_A_CALL}[name]
    if stored != wanted:
        raise RuntimeError(f"{calls} calls of {name} were accepted, but {stored} messages are stored.")


def _measured(rates: dict[str, _Rates], requests: int, clients: int) -> Measured:
    bare = rates["bare_view"].median
    messages = rates["messages"].median * MESSAGES_A_CALL
    numbers = {
        "single_send_per_s": round(rates["single_send"].median, 1),
        "bare_view_per_s": round(bare, 1),
        "messages_per_s": round(messages, 1),
    }
    notes = [
        f"{ROUNDS} rounds of {requests} requests over {clients} connections; these are the medians.",
        f"Single sends are {rates['single_send'].median / bare:.0%} of the bare view.",
        f"{MESSAGES_A_CALL} messages a call: {messages / bare:.1f} × the bare view, in messages a second.",
    ]
    return Measured(numbers, notes)
