"""The account's name, clock and quota; and moving between accounts."""

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts import quotas
from accounts.forms import AccountForm, OpenAccountForm
from accounts.http import SESSION_ACCOUNT, AccountRequest, member_required, reporting
from accounts.models import Invitation, Permission
from accounts.services import accounts, members


@require_http_methods(["GET", "POST"])
@member_required()
def settings(request: AccountRequest) -> HttpResponse:
    account = request.account
    present = {
        "name": account.name,
        "time_zone": account.time_zone,
        "directmail_replies": account.directmail_replies,
    }
    form = AccountForm(request.POST or None, initial=present)
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The account has been changed."), form=form):
            accounts.change_settings(by=request.actor, **form.cleaned_data)
        if form.is_valid():
            return redirect("accounts:settings")
    daily, monthly = quotas.allowances(account, now=timezone.now())
    return render(
        request,
        "accounts/settings.html",
        {
            "form": form,
            "allowances": [(_("Today"), daily), (_("This month"), monthly)],
            "may_change": request.actor.may(Permission.SETUP),
        },
    )


@require_POST
@login_required
def switch(request: AccountRequest) -> HttpResponse:
    """Work in another of one's accounts from now on."""
    accounts_of_user = {str(membership.account_id): membership.account for membership in request.memberships}
    account = accounts_of_user.get(request.POST.get("account", ""))
    if account is None:
        raise Http404
    request.session[SESSION_ACCOUNT] = account.pk
    messages.success(request, _("You are now working in %(account)s.") % {"account": account})
    return redirect("/console/")


@require_http_methods(["GET", "POST"])
@login_required
def none(request: HttpRequest) -> HttpResponse:
    """Tell a user without an account how to get into one."""
    if request.actor is not None:  # type: ignore[attr-defined]
        return redirect("/console/")
    form = OpenAccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        accounts.open_account(request.user, now=timezone.now(), **form.cleaned_data)  # type: ignore[arg-type]
        return redirect("/console/")
    proved = request.user.emailaddress_set.filter(verified=True).values("email")  # type: ignore[union-attr]
    invitations = Invitation.objects.filter(email__in=proved, expires_at__gt=timezone.now())
    links = [(invitation, members.link(invitation)) for invitation in invitations.select_related("account")]
    return render(request, "accounts/none.html", {"form": form, "invitations": links})
