"""Where the link of an invitation leads, logged in or not."""

from http import HTTPStatus

from allauth.account.adapter import get_adapter
from allauth.account.models import EmailAddress
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http import SESSION_ACCOUNT, client_ip, reporting
from accounts.models import Invitation, Role, User
from accounts.services import members


@never_cache
@require_http_methods(["GET", "POST"])
def invitation(request: HttpRequest, token: str) -> HttpResponse:
    found = members.invitation_of(token)
    if found is None or found.expires_at <= timezone.now():
        status = HTTPStatus.NOT_FOUND if found is None else HTTPStatus.GONE
        return render(request, "accounts/invitation_gone.html", {"invitation": found}, status=status)
    if isinstance(request.user, User) and request.method == "POST":
        return _accept(request, found, request.user)
    if not request.user.is_authenticated:
        # Who holds the link has read the mailbox: signing up needs no second mail to prove it.
        get_adapter(request).stash_verified_email(request, found.email)
    return render(
        request,
        "accounts/invitation.html",
        {
            "invitation": found,
            "role": Role(found.role),
            "is_known": User.objects.filter(email=found.email).exists(),
            "is_theirs": request.user.is_authenticated
            and EmailAddress.objects.filter(user=request.user, email=found.email, verified=True).exists(),
        },
    )


def _accept(request: HttpRequest, found: Invitation, user: User) -> HttpResponse:
    account = found.account
    with reporting(request, _("Welcome to %(account)s.") % {"account": account}):
        members.accept(found, user=user, now=timezone.now(), ip=client_ip(request))
        request.session[SESSION_ACCOUNT] = account.pk
    return redirect("/console/")
