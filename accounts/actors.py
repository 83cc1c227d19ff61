"""Who does a thing: passed to every service as `by`, so that every door keeps the same rules."""

from dataclasses import dataclass

from django.utils.translation import gettext as _

from accounts.models import AccessKey, Account, Membership, Permission, Role, User
from mailpush.lib.refusals import Refusal


class NotAllowed(Refusal):
    """The member's role does not reach that far."""

    code = "not_allowed"


@dataclass(frozen=True, slots=True)
class Actor:
    """A member, an access key or the platform itself, acting for one account.

    `name` is what the audit log shows; `user` is set for people, `ip` for what came over the network.
    """

    account: Account
    name: str
    role: Role
    user: User | None = None
    ip: str | None = None
    is_operator: bool = False

    @classmethod
    def member(cls, membership: Membership, *, ip: str | None = None) -> "Actor":
        return cls(
            account=membership.account,
            name=membership.user.email,
            role=Role(membership.role),
            user=membership.user,
            ip=ip,
        )

    @classmethod
    def access_key(cls, key: AccessKey, *, ip: str | None = None) -> "Actor":
        return cls(account=key.account, name=f"access key {key.key_id}", role=Role(key.role), ip=ip)

    @classmethod
    def operator(cls, user: User, account: Account, *, ip: str | None = None) -> "Actor":
        """Staff who work on a customer's account from the admin, without a place in it.

        :raises NotAllowed: the user is no staff.
        """
        must_be_staff(user)
        return cls(account=account, name=f"operator {user.email}", role=Role.OWNER, user=user, ip=ip, is_operator=True)

    @classmethod
    def platform(cls, account: Account) -> "Actor":
        """Background work that does what the account's owner set in motion."""
        return cls(account=account, name="mailpush", role=Role.OWNER)

    def may(self, permission: Permission) -> bool:
        return permission in self.role.permissions

    def must(self, permission: Permission) -> None:
        """Refuse unless the role allows it.

        :raises NotAllowed: naming the role and what it lacks.
        """
        if not self.may(permission):
            raise NotAllowed(
                _("Your role (%(role)s) does not allow this: it needs the right to change %(permission)s.")
                % {"role": self.role.label, "permission": permission.label}
            )

    def must_operate(self) -> None:
        """Refuse everybody but the platform's operators, owners too.

        :raises NotAllowed: this is no operator.
        """
        if not self.is_operator:
            raise _not_operator()


def must_be_staff(user: User) -> None:
    """Refuse who does not work for the platform.

    :raises NotAllowed: the user is no staff.
    """
    if not user.is_staff:
        raise _not_operator()


def _not_operator() -> NotAllowed:
    return NotAllowed(_("Only an operator of this platform can do that."))
