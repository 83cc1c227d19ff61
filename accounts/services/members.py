"""Members of an account, and the invitations that make them."""

from datetime import datetime, timedelta

from allauth.account.models import EmailAddress
from django.conf import settings
from django.db import transaction
from django.urls import reverse
from django.utils.translation import gettext as _

from accounts import audit, mails
from accounts.actors import Actor
from accounts.models import Account, Invitation, Membership, Permission, Role, User
from accounts.services.accounts import open_account
from mailpush.lib import tokens
from mailpush.lib.refusals import Refusal

INVITATION_LASTS = timedelta(days=7)
INVITATION_REST = timedelta(minutes=10)  # between two mails to one address: ours is no tool to pester people
OPEN_INVITATIONS = 50
TOKEN_PURPOSE = "invitation"  # noqa: S105 - what the token is for


class AlreadyMember(Refusal):
    code = "already_member"


class InvitedJustNow(Refusal):
    code = "invited_just_now"


class TooManyInvitations(Refusal):
    code = "too_many_invitations"


class InvitationExpired(Refusal):
    code = "invitation_expired"


class InvitationForAnother(Refusal):
    """The user has not proved the invited address."""

    code = "invitation_for_another"


class OwnersOnly(Refusal):
    """Only owners make, invite or remove owners."""

    code = "owners_only"


class LastOwner(Refusal):
    """An account always has an owner."""

    code = "last_owner"


@transaction.atomic
def invite(*, by: Actor, email: str, role: Role, now: datetime) -> Invitation:
    """Mail an invitation; inviting an address again renews role and expiry and sends a new mail.

    :raises OwnersOnly: an owner was to be invited by somebody else.
    :raises AlreadyMember: the address belongs to a member.
    :raises InvitedJustNow: a mail went there within INVITATION_REST.
    :raises TooManyInvitations: OPEN_INVITATIONS are open.
    """
    by.must(Permission.SETUP)
    _must_reach(by, role)
    email = email.strip().lower()
    _lock(by.account)
    _must_be_welcome(by.account, email, now)

    invitation, _is_new = Invitation.objects.update_or_create(
        account=by.account,
        email=email,
        defaults={"role": role, "invited_by": by.user, "created_at": now, "expires_at": now + INVITATION_LASTS},
    )
    mails.send("invitation", email, invitation=invitation, by=by, link=link(invitation))
    audit.record("member.invited", by=by, target=email, role=role)
    return invitation


@transaction.atomic
def cancel_invitation(invitation: Invitation, *, by: Actor) -> None:
    """Take an invitation back; its link stops working.

    :raises OwnersOnly: it would have made an owner.
    """
    by.must(Permission.SETUP)
    _must_reach(by, invitation.role)

    invitation.delete()
    audit.record("member.invitation_canceled", by=by, target=invitation.email)


@transaction.atomic
def accept(invitation: Invitation, *, user: User, now: datetime, ip: str | None = None) -> Membership:
    """Make the invited user a member.

    :raises InvitationForAnother: the user has not proved the invited address.
    :raises InvitationExpired: it came too late.
    """
    if not EmailAddress.objects.filter(user=user, email=invitation.email, verified=True).exists():
        raise InvitationForAnother(
            _("This invitation is for %(email)s. Log in with that address to accept it.") % {"email": invitation.email}
        )
    if invitation.expires_at <= now:
        raise InvitationExpired(
            _("This invitation has expired. Ask %(account)s for a new one.") % {"account": invitation.account}
        )

    membership, is_new = Membership.objects.get_or_create(
        account=invitation.account, user=user, defaults={"role": invitation.role, "created_at": now}
    )
    invitation.delete()
    if is_new:
        audit.record("member.joined", by=Actor.member(membership, ip=ip), target=user, role=membership.role)
    return membership


@transaction.atomic
def settle(user: User, *, now: datetime) -> None:
    """Give a user who has just proved their address a place: where they are invited, or an account of their own."""
    if user.memberships.exists():
        return
    proved = EmailAddress.objects.filter(user=user, verified=True).values("email")
    invitations = Invitation.objects.filter(email__in=proved, expires_at__gt=now).select_related("account")
    for invitation in invitations:
        accept(invitation, user=user, now=now)
    if not invitations:
        open_account(user, now=now)


@transaction.atomic
def change_role(membership: Membership, *, role: Role, by: Actor) -> None:
    """Give a member another role.

    :raises OwnersOnly: the member is or would become an owner.
    :raises LastOwner: nobody else owns the account.
    """
    by.must(Permission.SETUP)
    membership = _locked(membership)
    _must_reach(by, membership.role)
    _must_reach(by, role)
    if role != Role.OWNER:
        _must_not_be_last_owner(membership)

    before, membership.role = membership.role, role
    membership.save(update_fields=["role"])
    audit.record("member.role_changed", by=by, target=membership.user, before=before, after=role)


@transaction.atomic
def remove(membership: Membership, *, by: Actor) -> None:
    """Take a member's place away; their access keys stay, they belong to the account.

    :raises OwnersOnly: the member is an owner.
    :raises LastOwner: nobody else owns the account.
    """
    by.must(Permission.SETUP)
    membership = _locked(membership)
    _must_reach(by, membership.role)
    _must_not_be_last_owner(membership)

    membership.delete()
    audit.record("member.removed", by=by, target=membership.user, role=membership.role)


@transaction.atomic
def leave(*, by: Actor) -> None:
    """Give up one's own place.

    :raises LastOwner: nobody else owns the account.
    """
    membership = _locked(Membership.objects.get(account=by.account, user=by.user))
    _must_not_be_last_owner(membership)

    membership.delete()
    audit.record("member.left", by=by, target=membership.user, role=membership.role)


def link(invitation: Invitation) -> str:
    """Return the address that the mail names; who has it has read the invited mailbox."""
    token = tokens.make(TOKEN_PURPOSE, invitation.pk, today=invitation.created_at.date())
    return settings.MAILPUSH_PUBLIC_URL + reverse("accounts:invitation", args=[token])


def invitation_of(token: str) -> Invitation | None:
    """Return the invitation a link names, or None where it was canceled, accepted or never ours."""
    try:
        pk = tokens.read(TOKEN_PURPOSE, token)
    except tokens.BadToken:
        return None
    return Invitation.objects.select_related("account", "invited_by").filter(pk=pk).first()


def _must_be_welcome(account: Account, email: str, now: datetime) -> None:
    if account.memberships.filter(user__email=email).exists():
        raise AlreadyMember(_("%(email)s is already a member.") % {"email": email}, field="email")
    earlier = account.invitations.filter(email=email).first()
    if earlier and earlier.created_at > now - INVITATION_REST:
        raise InvitedJustNow(
            _("An invitation went to %(email)s a moment ago. Wait ten minutes before you send another.")
            % {"email": email},
            field="email",
        )
    if not earlier and account.invitations.count() >= OPEN_INVITATIONS:
        raise TooManyInvitations(
            _("%(count)s invitations are open. Cancel some before you send more.") % {"count": OPEN_INVITATIONS}
        )


def _must_reach(by: Actor, role: str) -> None:
    if role == Role.OWNER and not by.may(Permission.OWN):
        raise OwnersOnly(_("Only an owner can add, change or remove owners."), field="role")


def _must_not_be_last_owner(membership: Membership) -> None:
    owners = Membership.objects.filter(account=membership.account, role=Role.OWNER)
    if membership.role == Role.OWNER and not owners.exclude(pk=membership.pk).exists():
        raise LastOwner(_("An account needs an owner. Make somebody else an owner first."))


def _locked(membership: Membership) -> Membership:
    """Return the row as it is now; changes of one account's members wait for each other."""
    _lock(membership.account)
    return Membership.objects.select_related("account", "user").get(pk=membership.pk)


def _lock(account: Account) -> None:
    Account.objects.select_for_update(no_key=True).get(pk=account.pk)
