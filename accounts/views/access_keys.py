"""Access keys: made, switched off and on, deleted."""

from typing import Any

from django.forms import Form
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import AccessKeyForm, RestrictionForm
from accounts.http import AccountRequest, member_required, reporting
from accounts.models import AccessKey, Permission, Role, Scope
from accounts.services import access_keys


@never_cache  # the answer to a POST carries the secret
@require_http_methods(["GET", "POST"])
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    own = request.actor.role.permissions
    form = AccessKeyForm(request.POST or None)
    form.fields["role"].choices = [(role.value, role.label) for role in Role if role.permissions <= own]  # type: ignore[attr-defined]
    created = None
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The access key is ready."), form=form):
            created = access_keys.create(
                by=request.actor,
                label=form.cleaned_data["label"],
                role=Role(form.cleaned_data["role"]),
                **_restrictions(form),
                now=timezone.now(),
            )
    return render(
        request,
        "accounts/access_keys.html",
        {
            "form": form if created is None else AccessKeyForm(),
            "created": created,
            "keys": [
                (key, Role(key.role).permissions <= own)
                for key in request.account.access_keys.select_related("created_by").order_by("-created_at", "-pk")
            ],
            "may_change": request.actor.may(Permission.WORK),
        },
    )


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def restrict(request: AccountRequest, pk: int) -> HttpResponse:
    """Change what a key is for and where it may be used."""
    key = _key(request, pk)
    form = RestrictionForm(request.POST or None, initial={"scopes": key.scopes, "networks": key.networks})
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("%(key)s is changed.") % {"key": key}, form=form):
            access_keys.restrict(key, **_restrictions(form), by=request.actor)
            return redirect("accounts:access-keys")
    return render(request, "accounts/access_key.html", {"form": form, "key": key})


@require_POST
@member_required(Permission.WORK)
def enable(request: AccountRequest, pk: int) -> HttpResponse:
    key = _key(request, pk)
    with reporting(request, _("%(key)s works again.") % {"key": key}):
        access_keys.enable(key, by=request.actor)
    return redirect("accounts:access-keys")


@require_POST
@member_required(Permission.WORK)
def disable(request: AccountRequest, pk: int) -> HttpResponse:
    key = _key(request, pk)
    with reporting(request, _("%(key)s is refused from now on.") % {"key": key}):
        access_keys.disable(key, by=request.actor)
    return redirect("accounts:access-keys")


@require_POST
@member_required(Permission.WORK)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    key = _key(request, pk)
    with reporting(request, _("%(key)s is deleted.") % {"key": key}):
        access_keys.delete(key, by=request.actor)
    return redirect("accounts:access-keys")


def _restrictions(form: Form) -> dict[str, Any]:
    return {
        "scopes": [Scope(scope) for scope in form.cleaned_data["scopes"]],
        "networks": form.cleaned_data["networks"],
    }


def _key(request: AccountRequest, pk: int) -> AccessKey:
    return get_object_or_404(request.account.access_keys, pk=pk)
