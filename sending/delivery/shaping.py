"""What each site bears and what its replies mean: the tables of providers as the engine reads them.

`current` gives a picture of the tables that is at most half a minute old; everything else is memory
alone, for it is asked for every claim and every reply.
"""

import logging
import threading
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from fnmatch import fnmatchcase

import re2

from mailpush.mail.replies import Reply, Verdict
from mailpush.mail.tls import TlsPolicy
from sending.models import Provider, ReplyRule
from sending.models.provider import EVERYWHERE, pattern_options

log = logging.getLogger(__name__)

READ_EVERY = timedelta(seconds=30)
LONGEST_READ = 2000  # characters of a reply
SLOW_SECONDS = 300  # where a server asks to slow down in words that no rule knows


@dataclass(frozen=True, slots=True)
class Advice:
    """What a reply asks for. `slow_down` and `suspend` also mean that the message is tried again, whatever the code."""

    action: str  # of ReplyRule.Action
    seconds: int
    reason: str  # as in the table: translated where it is shown


# Replies that `mailpush.mail.replies` understands as "slow down" and no rule speaks of.
ASKED = Advice(ReplyRule.Action.SLOW_DOWN, SLOW_SECONDS, "")


class Rules:
    """Reply rules in their order, matched all at once."""

    def __init__(self, rows: Iterable[ReplyRule]) -> None:
        self._advice: list[Advice] = []
        self.reasons: set[str] = set()  # our own words: may be shown to whoever waits
        self._patterns = re2.Set.SearchSet(pattern_options())
        for row in rows:
            try:
                self._patterns.Add(row.pattern)
            except re2.error:
                log.exception("Reply rule %s is left out: its pattern cannot be used", row.pk)
                continue
            self._advice.append(Advice(row.action, row.seconds, row.reason))
            self.reasons.add(row.reason)
        self._patterns.Compile()

    def advice(self, reply: Reply) -> Advice | None:
        if not self._advice:
            return None
        text = str(reply)[:LONGEST_READ].encode("utf-8", "replace")
        found = self._patterns.Match(text)
        return self._advice[min(found)] if found else None


@dataclass(frozen=True, slots=True)
class Shape:
    """What a site bears, over all processes and hosts; `mails_per_minute` is None where only the connections limit."""

    site: str
    title: str
    connections: int
    mails_per_connection: int
    mails_per_minute: int | None
    tls: TlsPolicy
    rules: Rules
    reason: str


class Shaping:
    """A picture of the tables."""

    def __init__(self, providers: Iterable[Provider], rules: Iterable[ReplyRule], *, read_at: datetime) -> None:
        self.read_at = read_at
        rows = list(rules)
        everywhere = [row for row in rows if row.provider_id is None]
        self._shapes: dict[str, Shape] = {}
        self._patterns: list[tuple[str, str]] = []
        self._names: dict[str, str] = {}  # by mail server; gone with the picture
        for provider in providers:
            own = [row for row in rows if row.provider_id == provider.pk]
            self._shapes[provider.name] = _shape(provider, Rules([*own, *everywhere]))
            self._patterns += [(pattern, provider.name) for pattern in provider.mx_patterns]
        # The longest is the most particular: mxbiz*.qq.com before *.qq.com.
        self._patterns.sort(key=lambda pair: (-len(pair[0].replace("*", "")), pair))
        if EVERYWHERE not in self._shapes:  # a database without the shipped rows still sends
            self._shapes[EVERYWHERE] = _shape(Provider(connections=10, mails_per_connection=100), Rules(everywhere))

    def site_for(self, hosts: Sequence[str], fallback: str) -> str:
        """Return the provider behind mail servers (best first), or `fallback` where none is known."""
        best = hosts[0].lower()
        name = self._names.get(best)
        if name is None:
            found = (name for pattern, name in self._patterns if fnmatchcase(best, pattern))
            name = self._names[best] = next(found, EVERYWHERE)
        return name or fallback

    def shape(self, site: str) -> Shape:
        return self._shapes.get(site) or self._shapes[EVERYWHERE]

    def advice(self, site: str, reply: Reply) -> Advice | None:
        """Return what a reply asks for beyond its code, or None."""
        if reply.verdict is Verdict.ACCEPTED:
            return None
        return self.shape(site).rules.advice(reply) or (ASKED if reply.slow_down else None)


def _shape(provider: Provider, rules: Rules) -> Shape:
    return Shape(
        site=provider.name,
        title=provider.title,
        connections=provider.connections,
        mails_per_connection=provider.mails_per_connection,
        mails_per_minute=provider.mails_per_minute,
        tls=TlsPolicy(provider.tls),
        rules=rules,
        reason=provider.reason,
    )


_lock = threading.Lock()
_current: Shaping | None = None


def current(now: datetime) -> Shaping:
    """Return the tables as they were at most READ_EVERY ago."""
    global _current  # noqa: PLW0603 - one picture a process
    with _lock:
        if _current is None or not timedelta() <= now - _current.read_at < READ_EVERY:
            _current = Shaping(
                Provider.objects.filter(enabled=True), ReplyRule.objects.filter(enabled=True), read_at=now
            )
        return _current


def forget() -> None:
    """Read the tables anew at the next question: the process that edits them sees its edits at once."""
    global _current  # noqa: PLW0603
    with _lock:
        _current = None
