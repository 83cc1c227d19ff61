"""The environment variables mailpush reads: their names, defaults and shapes.

Unknown `MAILPUSH_*` names and malformed values stop the start with a sentence, so that a
typing error never turns into a default silently.
"""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

DELIVERY_MODES = ("sandbox", "mx", "relay")


@dataclass(frozen=True, slots=True)
class Bind:
    """An address to listen on; `implicit_tls` stands for `…/tls`, `open_login` for `…/open`."""

    host: str
    port: int
    implicit_tls: bool = False
    open_login: bool = False  # passwords without TLS, for old programs on lines that are trusted

    def __str__(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{host}:{self.port}"


RELAY_TLS = ("opportunistic", "required", "implicit", "off")  # mailpush.mail.tls.TlsPolicy
SUBMISSION_PORT = 587
HIGHEST_PORT = 65535
HIGHEST_WEIGHT = 1000


@dataclass(frozen=True, slots=True)
class Relay:
    """A smart host that takes our mail: `smtp://user:password@host:port?tls=required&weight=1`."""

    host: str
    port: int
    tls: str
    user: str = ""
    password: str = field(default="", repr=False)
    weight: int = 1  # its share of the connections, against the others'


@dataclass(slots=True)
class Environment:
    """Read-once view on the process environment.

    :raises ImproperlyConfigured: on a malformed value, naming variable, value and what it should be.
    """

    values: Mapping[str, str] = field(default_factory=lambda: os.environ)
    names: set[str] = field(default_factory=set)

    def text(self, name: str, default: str = "") -> str:
        self.names.add(name)
        return self.values.get(name, "").strip() or default

    def path(self, name: str, default: str) -> Path:
        return Path(self.text(name, default)).expanduser().resolve()

    def choice(self, name: str, default: str, choices: tuple[str, ...]) -> str:
        value = self.text(name, default)
        if value not in choices:
            raise self.malformed(name, value, f"one of {', '.join(choices)}")
        return value

    def number(self, name: str, default: int, *, lowest: int, highest: int) -> int:
        value = self.text(name, str(default))
        if not value.isdecimal() or not lowest <= int(value) <= highest:
            raise self.malformed(name, value, f"a whole number from {lowest} to {highest}")
        return int(value)

    def url(self, name: str, default: str, *schemes: str) -> str:
        value = self.text(name, default)
        if value and urlsplit(value).scheme not in schemes:
            raise self.malformed(name, value, f"an address that starts with {' or '.join(s + '://' for s in schemes)}")
        return value

    def bind(self, name: str, default: str) -> Bind:
        return self._bind(name, self.text(name, default))

    def binds(self, name: str, default: str) -> list[Bind]:
        return [self._bind(name, part) for part in self._parts(name, default)]

    def name_servers(self, name: str) -> list[tuple[str, int]]:
        return [(server.host, server.port) for server in self.binds(name, "")]

    def pools(self, name: str) -> dict[str, list[str]]:
        """Read `pool=ip,pool=ip`; a pool may be named several times."""
        pools: dict[str, list[str]] = {}
        for part in self._parts(name, ""):
            pool, _, address = part.partition("=")
            if not pool or not _is_ip(address):
                raise self.malformed(name, part, "a comma list of pool=ip")
            pools.setdefault(pool, []).append(address)
        return pools

    def relays(self, name: str) -> list[Relay]:
        """Read the smart hosts; TLS must hold (`required`) unless an address says otherwise."""
        relays = [self._relay(name, part) for part in self._parts(name, "")]
        if len({(relay.host, relay.port, relay.user) for relay in relays}) < len(relays):
            raise ImproperlyConfigured(f"{name} names a relay twice; give it a higher weight instead.")
        return relays

    def _relay(self, name: str, url: str) -> Relay:
        wanted = f"smtp://user:password@host:port?tls={'|'.join(RELAY_TLS)}&weight=1, or several with commas between"
        shown = _without_password(self.text(name))  # all of it: a comma may stand in a password
        try:
            parts = urlsplit(url)
            query = dict(parse_qsl(parts.query, strict_parsing=bool(parts.query)))
            relay = Relay(
                host=parts.hostname or "",
                port=parts.port or SUBMISSION_PORT,
                tls=query.pop("tls", "required"),
                user=unquote(parts.username or ""),
                password=unquote(parts.password or ""),
                weight=int(query.pop("weight", "1")),
            )
        except ValueError as error:
            raise self.malformed(name, shown, wanted) from error
        is_right = relay.host and relay.tls in RELAY_TLS and 1 <= relay.weight <= HIGHEST_WEIGHT
        if parts.scheme != "smtp" or parts.path.strip("/") or query or not is_right:
            raise self.malformed(name, shown, wanted)
        return relay

    def refuse_unknown(self, prefix: str = "MAILPUSH_") -> None:
        unknown = sorted(name for name in self.values if name.startswith(prefix) and name not in self.names)
        if unknown:
            known = ", ".join(sorted(name for name in self.names if name.startswith(prefix)))
            raise ImproperlyConfigured(f"Unknown setting {', '.join(unknown)}. mailpush knows: {known}.")

    @staticmethod
    def malformed(name: str, value: str, wanted: str) -> ImproperlyConfigured:
        return ImproperlyConfigured(f"{name} is {value!r}, but must be {wanted}.")

    def _parts(self, name: str, default: str) -> list[str]:
        return [part.strip() for part in self.text(name, default).split(",") if part.strip()]

    def _bind(self, name: str, value: str) -> Bind:
        address, slash, flag = value.partition("/")
        host, colon, port = address.rpartition(":")
        host = host.strip("[]")
        right = colon and port.isdecimal() and 0 < int(port) <= HIGHEST_PORT and (_is_ip(host) or host == "localhost")
        if not right or (slash and flag not in {"tls", "open"}):
            raise self.malformed(name, value, "an address such as 127.0.0.1:2525")
        return Bind(host, int(port), implicit_tls=flag == "tls", open_login=flag == "open")


def _without_password(url: str) -> str:
    """Return the address as an error message may show it."""
    scheme, _, rest = url.partition("://")
    return f"{scheme}://…@{rest.rpartition('@')[2]}" if "@" in rest else url


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
