"""What each request knows: its account and member, its language and clock, and who may enter the admin."""

import zoneinfo
from collections.abc import Callable
from typing import Any

from allauth.account.adapter import get_adapter
from allauth.account.authentication import get_authentication_records
from allauth.mfa.models import Authenticator
from allauth.mfa.utils import is_mfa_enabled
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils import timezone, translation
from django.utils.http import urlencode
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.http import client_ip, current_membership
from accounts.models import User
from mailpush.lib.visitors import is_local_visitor

Respond = Callable[[HttpRequest], HttpResponse]

SECOND_FACTORS = [Authenticator.Type.TOTP, Authenticator.Type.WEBAUTHN]


class TenantMiddleware:
    """Set `request.account`, `.membership`, `.actor` (None without one) and the user's language and time zone."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: Any) -> HttpResponse:
        request.memberships, request.membership, request.account, request.actor = [], None, None, None
        if not request.user.is_authenticated:
            return self.get_response(request)
        request.memberships = list(request.user.memberships.select_related("account").order_by("pk"))
        membership = current_membership(request)
        if membership is not None:
            membership.user = request.user
            request.membership, request.account = membership, membership.account
            request.actor = Actor.member(membership, ip=client_ip(request))
        if request.user.language:
            translation.activate(request.user.language)
            request.LANGUAGE_CODE = translation.get_language()
        with timezone.override(_zone_of(request.user)):
            return self.get_response(request)


def _zone_of(user: User) -> zoneinfo.ZoneInfo:
    try:
        return zoneinfo.ZoneInfo(user.time_zone)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError):  # renamed or dropped by the time zone database since
        return zoneinfo.ZoneInfo("UTC")


class StaffSecondFactorMiddleware:
    """Let only staff into the admin, and only with a second factor shown in this session."""

    def __init__(self, get_response: Respond) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith(reverse("admin:index")):
            return self.get_response(request)
        return self.turn_away(request) or self.get_response(request)

    def turn_away(self, request: HttpRequest) -> HttpResponse | None:
        """Return where the visitor has to go first; None for who may enter."""
        user = request.user
        if not user.is_authenticated:
            # The admin's own login knows neither rate limits nor second factors.
            wanted = request.get_full_path()
            login = reverse("admin:login")
            return redirect_to_login(reverse("admin:index") if wanted.startswith(login) else wanted)
        if not user.is_staff:
            raise PermissionDenied
        if is_mfa_enabled(user, SECOND_FACTORS):
            return None if self._has_shown_it(request) else self._ask_for_it(request)
        if settings.MAILPUSH_DELIVERY == "sandbox" and is_local_visitor(request):
            self._warn_once(request)
            return None
        messages.warning(request, _("The review desk needs a second factor. Set one up, then come back."))
        return redirect("mfa_index")

    def _has_shown_it(self, request: HttpRequest) -> bool:
        return any(record["method"] == "mfa" for record in get_authentication_records(request, request.user))

    def _ask_for_it(self, request: HttpRequest) -> HttpResponse:
        """Send who logged in before the second factor was set up to show it once."""
        methods = get_adapter(request).get_reauthentication_methods(request.user)
        url = next(method["url"] for method in methods if method["id"].startswith("mfa_"))
        return redirect(f"{url}?{urlencode({'next': request.get_full_path()})}")

    def _warn_once(self, request: HttpRequest) -> None:
        if not request.session.get("sandbox_review"):
            request.session["sandbox_review"] = True
            messages.info(
                request,
                _(
                    "This is a sandbox on your own machine, so no second factor is asked for here. "
                    "Anywhere else the review desk does ask for one."
                ),
            )
