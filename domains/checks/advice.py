"""What speaks against sending from a domain, though nothing forbids it (manual, "New domain")."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.utils.translation import gettext as _

from domains.models import Domain, RecordCheck
from mailpush.mail.addresses import registrable_domain
from mailpush.mail.mx import MxHost, site_of

# Sites (mailpush.mail.mx) of those who keep mailboxes for companies.
MAILBOX_PROVIDERS = {
    "exmail.qq.com": "Tencent Exmail",
    "qq.com": "Tencent QQ Mail",
    "aliyun.com": "Alibaba Mail",
    "google.com": "Google Workspace",
    "mail.protection.outlook.com": "Microsoft 365",
    "olc.protection.outlook.com": "Outlook.com",
    "netease.com": "NetEase Mail",
    "163.com": "NetEase Mail",
    "feishu.cn": "Feishu Mail",
    "263xmail.com": "263 Mail",
    "zoho.com": "Zoho Mail",
    "zoho.eu": "Zoho Mail",
    "yandex.net": "Yandex 360",
    "messagingengine.com": "Fastmail",
    "protonmail.ch": "Proton Mail",
    "icloud.com": "iCloud Mail",
}


@dataclass(frozen=True, slots=True)
class Advice:
    """`code` is for programs, `text` for people."""

    code: str
    text: str


def of(domain: Domain) -> list[Advice]:
    """Return what its owner should think over, from its name and what the last check found."""
    mx = next((check for check in domain.checks.all() if check.kind == RecordCheck.Kind.MX), None)
    mailboxes = _mailboxes(mx.found, none_at=_ours(domain)) if mx else ""
    advice = []
    if domain.name == registrable_domain(domain.name):
        advice.append(Advice("root_domain", _root_domain(domain)))
    if mailboxes:
        advice.append(Advice("receives_mail", _receives_mail(domain, mailboxes)))
    return advice


def _ours(domain: Domain) -> set[str]:
    """Return the mail servers behind which nobody's mailboxes are; every name of the sandbox has one such."""
    pretended = {f"mx.{domain.name}"} if settings.MAILPUSH_DELIVERY == "sandbox" else set()
    return {"", ".", settings.MAILPUSH_MAIL_HOST, *pretended}


def _mailboxes(found: Iterable[str], *, none_at: set[str]) -> str:
    """Return who receives the domain's mail at present, if that is somebody else."""
    hosts = [host for host in (_host(text) for text in found) if host.name not in none_at]
    if not hosts:
        return ""
    return MAILBOX_PROVIDERS.get(site_of(hosts), min(hosts, key=lambda host: host.preference).name)


def _host(text: str) -> MxHost:
    preference, _space, name = text.partition(" ")
    return MxHost(name, int(preference), ())


def _root_domain(domain: Domain) -> str:
    return _(
        "%(name)s is your main domain. Send from a subdomain such as mail.%(name)s instead: "
        "then what happens to its reputation does not touch your main domain."
    ) % {"name": domain.display_name}


def _receives_mail(domain: Domain, mailboxes: str) -> str:
    return _(
        "Mail to %(name)s is received by %(mailboxes)s at present. The MX record we need would take it away "
        "from there. Use a subdomain such as mail.%(name)s instead."
    ) % {"name": domain.display_name, "mailboxes": mailboxes}
