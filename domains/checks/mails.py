"""What owners and administrators are told of their domains, each in their language and time zone."""

import zoneinfo

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import Membership, Role
from domains.checks import words
from domains.models import Domain


def tell_owners(domain_id: int, name: str) -> None:
    """Send `domains/mail/<name>` to everybody who can set the domain right."""
    domain = Domain.objects.select_related("account").with_rows().get(pk=domain_id)
    responsible = domain.account.memberships.filter(role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
    for membership in responsible.select_related("user"):
        _send(membership, domain, name)


def _send(membership: Membership, domain: Domain, name: str) -> None:
    user = membership.user
    failing = [check for check in domain.checks.all() if check.is_failure]
    with translation.override(user.language or settings.LANGUAGE_CODE), timezone.override(_zone(user.time_zone)):
        context = {
            "domain": domain,
            "failing": [(check.get_kind_display(), words.result(check)) for check in failing],
            "url": settings.MAILPUSH_PUBLIC_URL + reverse("domains:detail", args=[domain.pk]),
        }
        subject = render_to_string(f"domains/mail/{name}_subject.txt", context)
        send_mail(" ".join(subject.split()), render_to_string(f"domains/mail/{name}.txt", context), None, [user.email])


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # unknown to this machine
        return zoneinfo.ZoneInfo("UTC")
