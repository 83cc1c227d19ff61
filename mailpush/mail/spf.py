"""Whether a domain's SPF record lets our servers send (RFC 7208), as its owner needs to know it.

This reads the record and everything it includes; it does not judge one mail's IP address.
"""

import ipaddress
import re
from dataclasses import dataclass

from mailpush.mail.records import (
    CheckResult,
    NoAnswer,
    Outcome,
    Resolver,
    look_up_txt,
    missing,
    unanswered,
)

MAX_LOOK_UPS = 10  # RFC 7208 section 4.6.4: more is a permanent error at the receiver
STOP_AFTER = 50  # look-ups; enough to say by how much a record is too long

_VERSION = re.compile(r"v=spf1(?: |$)", re.IGNORECASE)
_TERM = re.compile(r"([+?~-]?)(all|include|a|mx|ptr|ip4|ip6|exists)(?:[:/](.*))?", re.IGNORECASE)
_MODIFIER = re.compile(r"([A-Za-z][A-Za-z0-9._-]*)=(.*)")
_LOOKS_UP = frozenset({"include", "a", "mx", "ptr", "exists", "redirect"})


@dataclass(frozen=True, slots=True)
class SpfResult(CheckResult):
    look_ups: int = 0


@dataclass(frozen=True, slots=True)
class Term:
    """One mechanism or modifier; a modifier has no qualifier."""

    qualifier: str
    name: str
    value: str


class Faulty(Exception):
    """The record, or one it includes, is a permanent error for receivers."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


async def check(domain: str, must_include: str, resolver: Resolver) -> SpfResult:
    """Check that the domain's only SPF record passes what `must_include` passes.

    The include may stand in the record itself or in one that it includes or redirects to. The whole
    tree counts towards the ten look-ups, as it does for a mail from an unknown server.
    """
    walk = _Walk(resolver, _plain_name(must_include))
    try:
        records = await _records(domain, resolver)
        if not records:
            return _as_spf(missing(domain, "SPF"))
        await walk.read(_plain_name(domain), records, passes=True, above=())
    except NoAnswer as error:
        return _as_spf(unanswered(error))
    except Faulty as fault:
        return SpfResult(Outcome.WRONG, fault.reason, str(fault), records, walk.look_ups)
    outcome, reason, detail = walk.verdict()
    return SpfResult(outcome, reason, detail, records, walk.look_ups)


def merged_record(existing: str | None, include: str) -> str:
    """Return the record to publish: the existing one, with the include where it takes effect."""
    words = (existing or "").split()
    if not words or words[0].lower() != "v=spf1":
        return f"v=spf1 include:{include} -all"
    wanted = f"include:{include}".lower()
    # Where nothing ends the record, the owner's "neutral to all others" stays as it is.
    end = next((at for at, word in enumerate(words) if _ends_record(word)), len(words))
    if wanted in {_without_plus(word) for word in words[:end]}:
        return " ".join(words)
    before, after = ([word for word in part if _bare(word) != wanted] for part in (words[:end], words[end:]))
    return " ".join([*before, f"include:{include}", *after])


def _ends_record(word: str) -> bool:
    return _bare(word) == "all" or word.lower().startswith("redirect=")


def _without_plus(word: str) -> str:
    return word.lower().removeprefix("+").removesuffix(".")


def _bare(word: str) -> str:
    return word.lower().lstrip("+-~?").removesuffix(".")


@dataclass(slots=True)
class _Walk:
    """Follows includes and redirects, and remembers what it met."""

    resolver: Resolver
    wanted: str
    look_ups: int = 0
    is_reached: bool = False
    obstacle: tuple[str, str] | None = None

    async def read(self, name: str, records: list[str], *, passes: bool, above: tuple[str, ...]) -> None:
        """Read one name's records; `passes` is whether a match here is a pass for the domain.

        :raises Faulty: receivers would stop with a permanent error.
        :raises NoAnswer: DNS did not answer for something included.
        """
        if len(records) > 1:
            raise Faulty("two_records", f"{name} has {len(records)} SPF records; one is allowed.")
        terms = parse(name, records[0])
        active = _active(terms)
        self._note_obstacle(terms, active)
        for term in active:
            if term.name in {"include", "redirect"}:
                await self._follow(term, passes=passes and term.qualifier in {"+", ""}, above=(*above, name))
            elif term.name in _LOOKS_UP:
                self.look_ups += 1

    def _note_obstacle(self, terms: list[Term], active: list[Term]) -> None:
        """Remember why the include is there and does not help, in case no other is found."""
        for term in terms:
            if term.name != "include" or _plain_name(term.value) != self.wanted:
                continue
            if term not in active:
                self.obstacle = "after_all", f"include:{self.wanted} stands after all, where nothing is read."
            elif term.qualifier != "+":
                self.obstacle = "not_a_pass", f"include:{self.wanted} is marked {term.qualifier}, so it does not pass."

    async def _follow(self, term: Term, *, passes: bool, above: tuple[str, ...]) -> None:
        self.look_ups += 1
        target = _plain_name(term.value)
        is_wanted = target == self.wanted
        self.is_reached = self.is_reached or (is_wanted and passes)
        if target in above:
            raise Faulty("loop", f"The SPF record of {target} includes itself.")
        if "%" in target or self.look_ups > STOP_AFTER:  # a macro differs with every mail
            return
        try:
            records = await _records(target, self.resolver)
        except NoAnswer:
            if is_wanted:  # our own record: no fault of the domain's owner
                return
            raise
        if records:
            await self.read(target, records, passes=passes, above=above)
        elif not is_wanted:
            raise Faulty("broken_include", f"{above[-1]} includes {target}, which has no SPF record.")

    def verdict(self) -> tuple[Outcome, str, str]:
        if self.look_ups > MAX_LOOK_UPS:
            count = f"{self.look_ups}" if self.look_ups <= STOP_AFTER else f"more than {STOP_AFTER}"
            detail = f"The SPF record needs {count} DNS look-ups; {MAX_LOOK_UPS} are allowed."
            return Outcome.WRONG, "too_many_lookups", detail
        if self.is_reached:
            return Outcome.PASSED, "passed", "The record is right."
        if self.obstacle:
            return Outcome.WRONG, *self.obstacle
        return Outcome.WRONG, "not_included", f"The SPF record does not include {self.wanted}."


def parse(name: str, record: str) -> list[Term]:
    """Return the terms of one record (RFC 7208 section 4.6.1), without modifiers that change nothing.

    :raises Faulty: a term is unknown or incomplete.
    """
    terms = []
    for word in record.split(" ")[1:]:
        mechanism, modifier = _TERM.fullmatch(word), _MODIFIER.fullmatch(word)
        if mechanism:
            terms.append(Term(mechanism[1] or "+", mechanism[2].lower(), mechanism[3] or ""))
        elif modifier and modifier[1].lower() == "redirect":
            terms.append(Term("", "redirect", modifier[2]))
        elif word and not modifier:
            raise Faulty("bad_syntax", f"The SPF record of {name} has a term nobody knows: {word[:80]}")
    for term in terms:
        if not _has_good_value(term):
            raise Faulty(
                "bad_syntax", f"In the SPF record of {name}, {term.name} has no usable value: {term.value[:80]}"
            )
    return terms


def _has_good_value(term: Term) -> bool:
    if term.name in {"ip4", "ip6"}:
        try:
            return f"ip{ipaddress.ip_network(term.value, strict=False).version}" == term.name
        except ValueError:
            return False
    return bool(term.value) or term.name not in {"include", "exists", "redirect"}


def _active(terms: list[Term]) -> list[Term]:
    """Return the terms that are read: those before all; a redirect last, and only without all (section 6.1)."""
    end = next((at for at, term in enumerate(terms) if term.name == "all"), None)
    redirects = [term for term in terms if term.name == "redirect"] if end is None else []
    return [term for term in terms[:end] if term.name != "redirect"] + redirects


async def _records(name: str, resolver: Resolver) -> list[str]:
    return [text for text in await look_up_txt(name, resolver) if _VERSION.match(text)]


def _plain_name(name: str) -> str:
    return name.lower().removesuffix(".")


def _as_spf(result: CheckResult) -> SpfResult:
    return SpfResult(result.outcome, result.reason, result.detail, result.found)
