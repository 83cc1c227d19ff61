"""Members and invitations."""

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from accounts.forms import InvitationForm, RoleForm
from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Membership, Permission, Role
from accounts.services import members


@require_http_methods(["GET", "POST"])
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    form = InvitationForm(request.POST or None)
    form.fields["role"].choices = _roles_to_give(request)  # type: ignore[attr-defined]
    if request.method == "POST" and form.is_valid():
        email, role = form.cleaned_data["email"], Role(form.cleaned_data["role"])
        with reporting(request, _("An invitation is on its way to %(email)s.") % {"email": email}, form=form):
            members.invite(by=request.actor, email=email, role=role, now=timezone.now())
        if form.is_valid():
            return redirect("accounts:members")
    return render(
        request,
        "accounts/members.html",
        {
            "form": form,
            "members": request.account.memberships.select_related("user").order_by("user__email"),
            "invitations": request.account.invitations.select_related("invited_by").order_by("email"),
            "roles": _roles_to_give(request),
            "rights": [
                (role.label, [right.label for right in Permission if right in role.permissions]) for role in Role
            ],
            "now": timezone.now(),
            "may_change": request.actor.may(Permission.SETUP),
            "may_change_owners": request.actor.may(Permission.OWN),
        },
    )


@require_POST
@member_required(Permission.SETUP)
def change_role(request: AccountRequest, pk: int) -> HttpResponse:
    membership = _membership(request, pk)
    form = RoleForm(request.POST)
    if form.is_valid():
        role = Role(form.cleaned_data["role"])
        done = _("%(user)s is now: %(role)s.") % {"user": membership.user, "role": role.label}
        with reporting(request, done):
            members.change_role(membership, role=role, by=request.actor)
    return redirect("accounts:members")


@require_POST
@member_required(Permission.SETUP)
def remove(request: AccountRequest, pk: int) -> HttpResponse:
    membership = _membership(request, pk)
    with reporting(request, _("%(user)s is no longer a member.") % {"user": membership.user}):
        members.remove(membership, by=request.actor)
    return redirect("accounts:members")


@require_POST
@member_required()
def leave(request: AccountRequest) -> HttpResponse:
    with reporting(request, _("You have left %(account)s.") % {"account": request.account}):
        members.leave(by=request.actor)
    return redirect("accounts:members")  # of the user's next account, or on to `accounts:none`


@require_POST
@member_required(Permission.SETUP)
def cancel_invitation(request: AccountRequest, pk: int) -> HttpResponse:
    invitation = get_object_or_404(request.account.invitations, pk=pk)
    with reporting(request, _("The invitation of %(email)s is canceled.") % {"email": invitation.email}):
        members.cancel_invitation(invitation, by=request.actor)
    return redirect("accounts:members")


def _membership(request: AccountRequest, pk: int) -> Membership:
    return get_object_or_404(request.account.memberships.select_related("account", "user"), pk=pk)


def _roles_to_give(request: AccountRequest) -> list[tuple[str, str]]:
    may_own = request.actor.may(Permission.OWN)
    return [(role.value, str(role.label)) for role in Role if role != Role.OWNER or may_own]
