"""The DNS records a domain's owner publishes, with what the last look-up found of them."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from domains.checks import words
from domains.models import Domain, RecordCheck
from mailpush.mail import spf
from mailpush.mail.addresses import registrable_domain

MX_PRIORITY = 10
DMARC_VALUE = "v=DMARC1; p=none"  # asks receivers for nothing yet; its owner tightens it when ready

Kind = RecordCheck.Kind
Outcome = RecordCheck.Outcome


@dataclass(frozen=True, slots=True)
class Record:
    """One record to publish; `check` is what was last found in its place."""

    kind: RecordCheck.Kind
    type: str
    host: str
    value: str
    priority: int | None = None
    check: RecordCheck | None = None

    @property
    def is_required(self) -> bool:
        return self.kind in RecordCheck.REQUIRED

    @property
    def relative_host(self) -> str:
        """The host as most DNS panels ask for it: without the zone, `@` for the zone itself."""
        zone = registrable_domain(self.host)
        return "@" if self.host == zone else self.host.removesuffix(f".{zone}")

    @property
    def passed(self) -> bool:
        return self.check is not None and self.check.outcome == Outcome.PASSED

    @property
    def result(self) -> str:
        """What the last check found, in a sentence."""
        return words.result(self.check) if self.check else _("Not checked yet.")

    @property
    def purpose(self) -> str:
        return words.purpose(self.kind)


def of(domain: Domain) -> list[Record]:
    """Return the records of a domain, the required ones first."""
    checks = {check.kind: check for check in domain.checks.all()}
    return list(_records(domain, checks))


def _records(domain: Domain, checks: dict[str, RecordCheck]) -> Iterator[Record]:
    name, key = domain.name, domain.key_in_use
    yield Record(Kind.OWNERSHIP, "TXT", domain.ownership_host, domain.ownership_token, check=checks.get(Kind.OWNERSHIP))
    yield Record(Kind.SPF, "TXT", name, _spf_value(checks.get(Kind.SPF)), check=checks.get(Kind.SPF))
    yield Record(Kind.MX, "MX", name, settings.MAILPUSH_MAIL_HOST, priority=MX_PRIORITY, check=checks.get(Kind.MX))
    yield Record(Kind.DKIM, "TXT", key.host, key.public_record, check=checks.get(Kind.DKIM))
    yield Record(Kind.DMARC, "TXT", f"_dmarc.{name}", DMARC_VALUE, check=checks.get(Kind.DMARC))
    yield Record(Kind.TRACKING, "CNAME", domain.tracking_host, settings.PUBLIC_HOST, check=checks.get(Kind.TRACKING))


def _spf_value(check: RecordCheck | None) -> str:
    """Return the record to publish: a domain has one SPF record, so an existing one is extended."""
    existing = check.found[0] if check and check.found else None
    if check and existing and check.outcome == Outcome.PASSED:
        return str(existing)
    return spf.merged_record(existing, settings.MAILPUSH_SPF_INCLUDE)
