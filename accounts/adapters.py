"""How allauth's sign-up, login and second factor meet mailpush."""

from typing import Any
from urllib.parse import urlsplit

from allauth.account.adapter import DefaultAccountAdapter
from allauth.account.models import EmailAddress
from allauth.mfa.adapter import DefaultMFAAdapter
from django.conf import settings
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from accounts.http import client_ip
from accounts.models import User
from accounts.services import members, profile
from mailpush.lib import encryption


def public_url(url: str) -> str:
    """Return the link as it works from outside, whatever host name this request came in by."""
    parts = urlsplit(url)
    query = f"?{parts.query}" if parts.query else ""
    return f"{settings.MAILPUSH_PUBLIC_URL}{parts.path}{query}"


class AccountAdapter(DefaultAccountAdapter):  # type: ignore[misc]
    """An account comes to be, or an invitation is accepted, when its address is proved."""

    def clean_email(self, email: str) -> str:
        return str(super().clean_email(email)).strip().lower()

    def get_client_ip(self, request: HttpRequest) -> str:
        return client_ip(request) or "0.0.0.0"  # noqa: S104 - a peer without an address (Unix socket)

    def send_mail(self, template_prefix: str, email: str, context: dict[str, Any]) -> None:
        links = {name: public_url(url) for name, url in context.items() if name.endswith("_url") and url}
        site = {"name": "mailpush", "domain": urlsplit(settings.MAILPUSH_PUBLIC_URL).netloc}
        super().send_mail(template_prefix, email, {**context, **links, "current_site": site})

    def confirm_email(self, request: HttpRequest, email_address: EmailAddress) -> bool:
        with transaction.atomic():
            confirmed: bool = super().confirm_email(request, email_address)
            if confirmed:
                members.settle(email_address.user, now=timezone.now())
        return confirmed

    def post_login(self, request: HttpRequest, user: User, *, signup: bool, **login: Any) -> HttpResponse:
        if signup:  # by an invitation's link the address is proved without a confirmation mail
            members.settle(user, now=timezone.now())
        profile.note(user, "user.logged_in", ip=client_ip(request))
        response: HttpResponse = super().post_login(request, user, signup=signup, **login)
        return response

    def send_notification_mail(
        self, template_prefix: str, user: User, context: dict[str, Any] | None = None, email: str | None = None
    ) -> None:
        """Tell the user, and the audit log, that their password, address or second factor changed.

        allauth calls this for every such change, and for nothing else.
        """
        profile.note(user, f"user.{template_prefix.rpartition('/')[2]}", ip=client_ip(self.request))
        super().send_notification_mail(template_prefix, user, context, email)


class SecondFactorAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """Secrets of second factors are encrypted at rest; passkeys belong to the public host name."""

    def encrypt(self, text: str) -> str:
        return encryption.encrypt(text)

    def decrypt(self, encrypted_text: str) -> str:
        return encryption.decrypt(encrypted_text)

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        return {"id": settings.PUBLIC_HOST, "name": "mailpush"}
