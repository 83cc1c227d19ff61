"""IP protection: where the account's programs may send from."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.forms import AllowedAddressForm
from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from accounts.services import ip_protection


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    return _page(request, AllowedAddressForm())


@require_POST
@member_required(Permission.SETUP)
def allow(request: AccountRequest) -> HttpResponse:
    form = AllowedAddressForm(request.POST)
    if form.is_valid():
        address = form.cleaned_data["address"]
        with reporting(request, _("%(range)s is on the list.") % {"range": address}, form=form):
            ip_protection.allow(address, by=request.actor, now=timezone.now())
    return _page(request, form) if form.errors else redirect("accounts:ip-protection")


@require_POST
@member_required(Permission.SETUP)
def switch(request: AccountRequest) -> HttpResponse:
    is_on = request.POST.get("on") == "1"
    done = _("IP protection is on: mail is taken from the list alone.") if is_on else _("IP protection is off.")
    with reporting(request, done):
        ip_protection.protect(is_on=is_on, by=request.actor)
    return redirect("accounts:ip-protection")


@require_POST
@member_required(Permission.SETUP)
def remove(request: AccountRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(request.account.allowed_addresses, pk=pk)
    with reporting(request, _("%(range)s is off the list.") % {"range": row}):
        ip_protection.forbid(row, by=request.actor)
    return redirect("accounts:ip-protection")


def _page(request: AccountRequest, form: AllowedAddressForm) -> HttpResponse:
    context = {
        "form": form,
        "entries": list(request.account.allowed_addresses.order_by("first", "pk")),
        "own_ip": request.actor.ip,
        "is_own_ip_listed": ip_protection.is_listed(request.account, request.actor.ip),
        "may_change": request.actor.may(Permission.SETUP),
    }
    return render(request, "accounts/ip_protection.html", context)
