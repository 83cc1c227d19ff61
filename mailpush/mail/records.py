"""Whether the DNS records a domain owner was asked for are there.

An answer that says "no such record" is a finding; no answer is none: a name server that is slow or
broken must not make a good domain look bad.
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from mailpush.mail.addresses import registrable_domain

Resolver = dns.asyncresolver.Resolver


class Outcome(StrEnum):
    PASSED = "passed"
    MISSING = "missing"
    WRONG = "wrong"
    NO_ANSWER = "no_answer"  # DNS did not answer: says nothing about the record


@dataclass(frozen=True, slots=True)
class CheckResult:
    """What a check saw: `reason` is for programs, `detail` for people, `found` as DNS has it."""

    outcome: Outcome
    reason: str
    detail: str
    found: list[str] = field(default_factory=list)


class NoAnswer(Exception):
    """DNS did not answer for a name, or not in a way one can use."""

    def __init__(self, name: str) -> None:
        super().__init__(f"DNS did not answer for {name}. Try again later.")


async def look_up(name: str, kind: str, resolver: Resolver) -> list[Any]:
    """Return the records of one kind; none where the name or the kind does not exist.

    :raises NoAnswer: time-out, SERVFAIL, REFUSED or a broken answer.
    """
    try:
        question = dns.name.from_text(name, idna_codec=dns.name.IDNA_2008_UTS_46)
    except dns.exception.DNSException:  # no name, so nothing can be there
        return []
    try:
        return list(await resolver.resolve(question, kind, raise_on_no_answer=False, search=False))
    except dns.resolver.NXDOMAIN:
        return []
    except (dns.exception.DNSException, OSError) as error:
        raise NoAnswer(name) from error


async def look_up_txt(name: str, resolver: Resolver) -> list[str]:
    """Return the TXT records, each with its strings joined (RFC 7208 section 3.3)."""
    return [joined(record.strings) for record in await look_up(name, "TXT", resolver)]


def joined(strings: Iterable[bytes]) -> str:
    return b"".join(strings).decode("utf-8", "replace")


def passed(found: list[str]) -> CheckResult:
    return CheckResult(Outcome.PASSED, "passed", "The record is right.", found)


def missing(name: str, kind: str) -> CheckResult:
    return CheckResult(Outcome.MISSING, "no_record", f"There is no {kind} record at {name}.")


def wrong(reason: str, detail: str, found: list[str]) -> CheckResult:
    return CheckResult(Outcome.WRONG, reason, detail, found)


def unanswered(error: NoAnswer) -> CheckResult:
    return CheckResult(Outcome.NO_ANSWER, "no_answer", str(error))


async def check_txt(name: str, expected: str, resolver: Resolver) -> CheckResult:
    """Check that one of the TXT records at `name` is `expected`."""
    try:
        found = await look_up_txt(name, resolver)
    except NoAnswer as error:
        return unanswered(error)
    # Some DNS panels store the quotation marks that people copy along.
    if expected in {text.strip().strip('"') for text in found}:
        return passed(found)
    if not found:
        return missing(name, "TXT")
    return wrong("other_value", f"None of the TXT records at {name} is the one asked for.", found)


async def check_mx(domain: str, expected_host: str, resolver: Resolver) -> CheckResult:
    """Check that mail for the domain goes to the expected host first, and to no other as readily."""
    try:
        records = sorted((mx.preference, _host(mx.exchange)) for mx in await look_up(domain, "MX", resolver))
    except NoAnswer as error:
        return unanswered(error)
    if not records:
        return missing(domain, "MX")
    found = [f"{preference} {host or '.'}" for preference, host in records]
    best, wanted = records[0][0], _plain_name(expected_host)
    first = {host for preference, host in records if preference == best}
    if first == {wanted}:
        return passed(found)
    if wanted in first:
        return wrong("shared_preference", f"Other hosts share the preference {best} of {wanted}.", found)
    if wanted in {host for _, host in records}:
        return wrong("other_host_first", f"Another host has a lower preference number than {wanted}.", found)
    return wrong("other_host", f"The MX records of {domain} name other hosts, not {wanted}.", found)


async def check_cname(name: str, expected_target: str, resolver: Resolver) -> CheckResult:
    try:
        found = [_host(cname.target) for cname in await look_up(name, "CNAME", resolver)]
    except NoAnswer as error:
        return unanswered(error)
    if not found:
        return missing(name, "CNAME")
    if found == [_plain_name(expected_target)]:
        return passed(found)
    return wrong("other_host", f"{name} points to {found[0]}, not to {_plain_name(expected_target)}.", found)


async def check_dkim(selector: str, domain: str, expected_public: str, resolver: Resolver) -> CheckResult:
    """Check the published key (RFC 6376 section 3.6.1).

    `expected_public` is the whole record, as `dkim.public_record` returns it.
    """
    name = f"{selector}._domainkey.{domain}"
    try:
        found = await look_up_txt(name, resolver)
    except NoAnswer as error:
        return unanswered(error)
    keys = [tags for tags in map(tag_list, found) if "p" in tags]
    if not found:
        return missing(name, "TXT")
    if len(keys) > 1:
        return wrong("two_records", f"There is more than one key at {name}; receivers take any of them.", found)
    if not keys or keys[0].get("v", "DKIM1") != "DKIM1":
        return wrong("bad_syntax", f"The TXT record at {name} is not a DKIM key.", found)
    return _compare_keys(keys[0], tag_list(expected_public), found)


def _compare_keys(tags: dict[str, str], wanted: dict[str, str], found: list[str]) -> CheckResult:
    if not tags["p"]:
        return wrong("revoked", "The key is revoked: p= is empty.", found)
    if tags.get("k", "rsa") != wanted.get("k", "rsa") or _bare(tags["p"]) != _bare(wanted["p"]):
        return wrong("other_key", "Another key is published, or part of the key is lost.", found)
    if "sha256" not in tags.get("h", "sha256").replace(" ", "").split(":"):
        return wrong("bad_hash", "The record's h= does not allow sha256.", found)
    return passed(found)


async def check_dmarc(domain: str, resolver: Resolver) -> CheckResult:
    """Check that a policy covers the domain: its own, or that of the domain it was registered under.

    Receivers look in these two places, in this order (RFC 7489 section 6.6.3).
    """
    places = list(dict.fromkeys([f"_dmarc.{domain}", f"_dmarc.{registrable_domain(domain)}"]))
    try:
        for name in places:
            found = [text for text in await look_up_txt(name, resolver) if _DMARC.match(text)]
            if found:
                return _judge_dmarc(name, found)
    except NoAnswer as error:
        return unanswered(error)
    return missing(places[0], "DMARC")


def _judge_dmarc(name: str, found: list[str]) -> CheckResult:
    if len(found) > 1:
        return wrong("two_records", f"There is more than one DMARC record at {name}: receivers ignore all.", found)
    policy = tag_list(found[0]).get("p", "").lower()
    if policy not in {"none", "quarantine", "reject"}:
        return wrong("bad_policy", f"The DMARC record at {name} needs p=none, p=quarantine or p=reject.", found)
    return passed(found)


_DMARC = re.compile(r"\s*v\s*=\s*DMARC1\s*(;|$)")


def tag_list(text: str) -> dict[str, str]:
    """Return the tags of a "name=value; …" record (RFC 6376 section 3.2)."""
    pairs = (tag.partition("=") for tag in text.split(";"))
    return {name.strip(): value.strip() for name, equals, value in pairs if equals}


def _bare(key: str) -> str:
    return "".join(key.split())


def _host(name: dns.name.Name) -> str:
    return name.to_text(omit_final_dot=True).lower() if name != dns.name.root else ""


def _plain_name(name: str) -> str:
    return name.lower().removesuffix(".")
