"""Sending domains."""

from domains.checks.records import Record
from domains.models import Domain, RecordCheck
from domains.services import domains
from mailpush.mail.addresses import registrable_domain
from mailpush.rpc import errors
from mailpush.rpc.caller import Caller
from mailpush.rpc.fields import Fields, epoch, failed, minute, paged
from mailpush.rpc.params import Params

Kind = RecordCheck.Kind

VERIFIED, UNVERIFIED = "0", "1"
LONGEST_KEYWORD = 50
KEY_LENGTHS = (1024, 2048)


def create_domain(caller: Caller, params: Params) -> Fields:
    domain, _advice = domains.create(
        params.text("DomainName"), selector=params.text("dkimSelector", ""), by=caller.by, now=caller.now
    )
    return {"DomainId": str(domain.pk)}


def delete_domain(caller: Caller, params: Params) -> Fields:
    domains.delete(_own(caller, params), by=caller.by, now=caller.now)
    return {}


def check_domain(caller: Caller, params: Params) -> Fields:
    checked = domains.verify(_own(caller, params), by=caller.by, now=caller.now)
    return {"DomainStatus": int(_status(checked))}


def desc_domain(caller: Caller, params: Params) -> Fields:
    """Domains are looked at often by themselves, so DNS is asked here only for who says so."""
    domain = _own(caller, params)
    if params.flag("RequireRealTimeDnsRecords", default=False):
        domain = domains.verify(domain, by=caller.by, now=caller.now)
    records = {record.kind: record for record in domains.records_of(domain)}
    ownership, spf, mx = records[Kind.OWNERSHIP], records[Kind.SPF], records[Kind.MX]
    dkim, dmarc, tracking = records[Kind.DKIM], records[Kind.DMARC], records[Kind.TRACKING]
    return {
        "DomainId": str(domain.pk),
        "DomainName": domain.name,
        "DomainStatus": _status(domain),
        "CreateTime": minute(domain.created_at),
        "TlDomainName": registrable_domain(domain.name),
        "DefaultDomain": "0",
        "DomainType": ownership.value,
        "HostRecord": ownership.relative_host,
        "DnsTxt": _found(ownership),
        "SpfRecord": f"include:{_spf_include(spf)}",
        "SpfRecordV2": spf.value,
        "SpfAuthStatus": failed(passed=spf.passed),
        "DnsSpf": _found(spf),
        "MxRecord": mx.value,
        "MxAuthStatus": failed(passed=mx.passed),
        "DnsMx": _found(mx),
        "CnameRecord": tracking.relative_host,
        "TracefRecord": tracking.value,
        "CnameAuthStatus": failed(passed=tracking.passed),
        "CnameConfirmStatus": "0",
        "DkimRR": dkim.relative_host,
        "DkimPublicKey": dkim.value,
        "DkimAuthStatus": failed(passed=dkim.passed),
        "DkimRsaLength": domain.key_in_use.bits,
        "DmarcHostRecord": dmarc.relative_host,
        "DmarcRecord": dmarc.value,
        "DmarcAuthStatus": int(failed(passed=dmarc.passed)),
        "DnsDmarc": _found(dmarc),
        "IcpStatus": "1",  # filing is between the owner and the authorities; nothing here depends on it
        "DomainVersion": 1,
    }


def query_domain_by_param(caller: Caller, params: Params) -> Fields:
    rows = Domain.objects.for_account(caller.account).order_by("-pk").with_rows()
    if keyword := params.text("KeyWord", "", most=LONGEST_KEYWORD):
        rows = rows.filter(name__icontains=keyword)
    status = params.optional_number("Status", highest=4)
    if status is not None:
        verified = {"status": Domain.Status.VERIFIED}
        rows = rows.exclude(**verified) if status == int(UNVERIFIED) else rows.filter(**verified)
    counts, domains_shown = paged(rows, params.page(most=1000, usual=50))
    return {**counts, "data": {"domain": [_listed(domain) for domain in domains_shown]}}


def change_domain_dkim_record(caller: Caller, params: Params) -> Fields:
    """Make a new key of another length; a domain that has the length keeps its key."""
    name = params.text("Domain")
    domain = Domain.objects.for_account(caller.account).with_rows().filter(name=name.lower()).first()
    if domain is None:
        raise errors.not_found("Domain", f"{name} is not one of your domains.")
    bits = params.number("DkimRsaLength", KEY_LENGTHS[-1])
    if bits not in KEY_LENGTHS:
        raise errors.not_valid("DkimRsaLength", "A DKIM key has 1024 or 2048 bits.", kind="Malformed")
    changed = domain.key_in_use.bits != bits
    key = domains.change_key(domain, bits=bits, by=caller.by, now=caller.now) if changed else domain.key_in_use
    return {"Changed": changed, "DkimPublicKey": key.public_record, "DkimRsaLength": key.bits, "Hostname": key.host}


def _own(caller: Caller, params: Params) -> Domain:
    pk = params.number("DomainId")
    domain = Domain.objects.for_account(caller.account).with_rows().filter(pk=pk).first()
    if domain is None:
        raise errors.not_found("DomainId", f"You have no domain with the id {pk}.")
    return domain


def _status(domain: Domain) -> str:
    return VERIFIED if domain.may_send else UNVERIFIED


def _found(record: Record) -> str:
    return "; ".join(record.check.found) if record.check else ""


def _spf_include(spf: Record) -> str:
    return next((word.removeprefix("include:") for word in spf.value.split() if word.startswith("include:")), "")


def _listed(domain: Domain) -> Fields:
    passed = {check.kind for check in domain.checks.all() if check.outcome == RecordCheck.Outcome.PASSED}
    return {
        "DomainId": str(domain.pk),
        "DomainName": domain.name,
        "DomainStatus": _status(domain),
        "DomainRecord": domain.ownership_token,
        "CnameAuthStatus": failed(passed=Kind.TRACKING in passed),
        "ConfirmStatus": failed(passed=Kind.TRACKING in passed),
        "SpfAuthStatus": failed(passed=Kind.SPF in passed),
        "MxAuthStatus": failed(passed=Kind.MX in passed),
        "IcpStatus": "1",
        "CreateTime": minute(domain.created_at),
        "UtcCreateTime": epoch(domain.created_at),
    }
