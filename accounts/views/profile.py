"""What users set for themselves."""

from contextlib import suppress

from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.utils import translation
from django.utils.translation import gettext as _
from django.views import i18n
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import ProfileForm
from accounts.http import client_ip, reporting
from accounts.models import User
from accounts.services import profile as service
from mailpush.lib.refusals import Refusal


@require_http_methods(["GET", "POST"])
@login_required
def profile(request: HttpRequest) -> HttpResponseBase:
    user = request.user
    assert isinstance(user, User)
    now = {"name": user.name, "language": user.language, "time_zone": user.time_zone}
    form = ProfileForm(request.POST or None, initial=now)
    if request.method == "POST" and form.is_valid():
        with translation.override(form.cleaned_data["language"] or translation.get_language()):
            done = _("Your profile has been changed.")
        with reporting(request, done, form=form):
            service.change(user, ip=client_ip(request), **form.cleaned_data)
        if form.is_valid():
            return redirect("accounts:profile")
    return render(request, "accounts/profile.html", {"form": form})


@require_POST
def set_language(request: HttpRequest) -> HttpResponseBase:
    """Django's language switch, for visitors too; a user's choice follows them to other browsers."""
    if isinstance(request.user, User):
        with suppress(Refusal):  # Django ignores a language it does not know, and so do we
            service.change_language(request.user, language=request.POST.get("language", ""))
    return i18n.set_language(request)
