"""What owners and administrators are told of their webhooks, each in their language and time zone."""

import zoneinfo

from django.conf import settings
from django.core.mail import send_mail
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils import timezone, translation

from accounts.models import Role
from sending.models.webhook import Webhook


def tell_owners(webhook_id: int) -> None:
    """Tell everybody who can set it right that a webhook is paused."""
    webhook = Webhook.objects.select_related("account").get(pk=webhook_id)
    responsible = webhook.account.memberships.filter(role__in=[Role.OWNER, Role.ADMIN], user__is_active=True)
    url = settings.MAILPUSH_PUBLIC_URL + reverse("sending:webhook", args=[webhook.pk])
    for membership in responsible.select_related("user"):
        user = membership.user
        with translation.override(user.language or settings.LANGUAGE_CODE), timezone.override(_zone(user.time_zone)):
            context = {"webhook": webhook, "url": url}
            subject = render_to_string("sending/mail/webhook_paused_subject.txt", context)
            body = render_to_string("sending/mail/webhook_paused.txt", context)
            send_mail(" ".join(subject.split()), body, None, [user.email])


def _zone(name: str) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # unknown to this machine
        return zoneinfo.ZoneInfo("UTC")
