"""Who you are: users, accounts (tenants), members, access keys, quota, audit."""

import ipaddress
import secrets
from typing import Any, ClassVar

from django.contrib.auth.base_user import AbstractBaseUser, BaseUserManager
from django.contrib.auth.models import PermissionsMixin
from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from mailpush.lib import encryption

NAME_LENGTH = 64  # of users and accounts
ACCESS_KEY_ID_BYTES = 12
ACCESS_KEY_SECRET_BYTES = 32


class UserManager(BaseUserManager["User"]):
    def create_user(self, email: str, password: str | None = None, **fields: Any) -> "User":
        user = self.model(email=email.strip().lower(), **fields)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(self, email: str, password: str | None = None, **fields: Any) -> "User":
        return self.create_user(email, password, is_staff=True, is_superuser=True, **fields)

    def get_by_natural_key(self, username: str | None) -> "User":
        return self.get(email=(username or "").lower())


class User(AbstractBaseUser, PermissionsMixin):
    """A person who logs in, by e-mail address (kept in lower case)."""

    email = models.EmailField(_("e-mail address"), unique=True)
    name = models.CharField(_("name"), max_length=NAME_LENGTH, blank=True)
    language = models.CharField(_("language"), max_length=10, blank=True)
    time_zone = models.CharField(_("time zone"), max_length=64, default="UTC")
    is_active = models.BooleanField(_("active"), default=True)
    is_staff = models.BooleanField(_("reviewer or operator"), default=False)
    date_joined = models.DateTimeField(_("joined"), default=timezone.now)

    objects: ClassVar[UserManager] = UserManager()

    USERNAME_FIELD = "email"
    EMAIL_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []

    class Meta:
        verbose_name = _("user")
        verbose_name_plural = _("users")

    def __str__(self) -> str:
        return self.email


class Account(models.Model):
    """A tenant: owns domains, senders, lists, templates and messages."""

    name = models.CharField(_("name"), max_length=NAME_LENGTH)
    is_active = models.BooleanField(_("may send"), default=True)
    # The platform's own mail (verification, password reset, review results) leaves through it.
    is_platform = models.BooleanField(default=False, editable=False)
    daily_quota = models.PositiveIntegerField(_("messages a day"), default=200_000)
    monthly_quota = models.PositiveIntegerField(_("messages a month"), default=6_000_000)
    # Mail of the account's programs is taken from its allowed addresses alone.
    is_ip_protected = models.BooleanField(_("sends from allowed addresses only"), default=False)
    # Of all the account's programs together; the REST API says what is left of it in each answer.
    requests_a_minute = models.PositiveIntegerField(_("API requests a minute"), default=120_000)
    # Days of quota and statistics begin at midnight here.
    time_zone = models.CharField(_("time zone of statistics"), max_length=64, default="UTC")
    # At the submission door, for programs written for DirectMail that look for its numbers.
    directmail_replies = models.BooleanField(_("DirectMail's reply codes over SMTP"), default=False, db_default=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)

    class Meta:
        verbose_name = _("account")
        verbose_name_plural = _("accounts")
        constraints = [
            models.UniqueConstraint("is_platform", condition=Q(is_platform=True), name="account_platform_once"),
        ]

    def __str__(self) -> str:
        return self.name


class Permission(models.TextChoices):
    """What a member may do; services ask for one."""

    VIEW = "view", _("see everything")
    WORK = "work", _("lists, templates, sending, sender addresses, access keys")
    SETUP = "setup", _("domains, members, account settings")
    OWN = "own", _("other owners")


class Role(models.TextChoices):
    OWNER = "owner", _("Owner")
    ADMIN = "admin", _("Administrator")
    DEVELOPER = "developer", _("Developer")
    VIEWER = "viewer", _("Viewer")

    @property
    def permissions(self) -> frozenset[Permission]:
        return ROLE_PERMISSIONS[self]


ROLE_PERMISSIONS: dict[Role, frozenset[Permission]] = {
    Role.OWNER: frozenset(Permission),
    Role.ADMIN: frozenset({Permission.VIEW, Permission.WORK, Permission.SETUP}),
    Role.DEVELOPER: frozenset({Permission.VIEW, Permission.WORK}),
    Role.VIEWER: frozenset({Permission.VIEW}),
}


class Membership(models.Model):
    """A user's place in an account."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="memberships")
    user = models.ForeignKey(User, models.CASCADE, related_name="memberships")
    role = models.CharField(_("role"), max_length=10, choices=Role.choices)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "user"], name="membership_once"),
            models.CheckConstraint(condition=Q(role__in=Role.values), name="membership_role_known"),
        ]

    def __str__(self) -> str:
        return f"{self.user} in {self.account}"


class Invitation(models.Model):
    """An address asked to join an account; accepted by whoever has proved that address."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Role.choices)
    invited_by = models.ForeignKey(User, models.SET_NULL, null=True)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField()

    class Meta:
        constraints = [
            models.UniqueConstraint("account", Lower("email"), name="invitation_once"),
        ]

    def __str__(self) -> str:
        return self.email


class Scope(models.TextChoices):
    """A part of the APIs that an access key can be restricted to; within it, the key's role still counts."""

    SEND = "messages.send", _("send single messages")
    MESSAGES = "messages", _("messages and what became of them")
    BATCHES = "batches", _("batches")
    DOMAINS = "domains", _("domains")
    SENDERS = "senders", _("sender addresses and tags")
    LISTS = "lists", _("recipient lists")
    TEMPLATES = "templates", _("templates")
    SUPPRESSIONS = "suppressions", _("suppressions")
    STATISTICS = "statistics", _("statistics")
    WEBHOOKS = "webhooks", _("webhooks")


def new_access_key_id() -> str:
    return "MP" + secrets.token_hex(ACCESS_KEY_ID_BYTES).upper()


class AccessKey(models.Model):
    """A program's credentials. The secret is encrypted, not hashed: HMAC signatures need it."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="access_keys")
    key_id = models.CharField(max_length=32, unique=True, default=new_access_key_id)
    encrypted_secret = models.TextField()
    label = models.CharField(_("label"), max_length=64, blank=True)
    role = models.CharField(_("role"), max_length=10, choices=Role.choices, default=Role.DEVELOPER)
    # Empty: everything that the role allows, from anywhere.
    scopes = ArrayField(models.CharField(max_length=16, choices=Scope.choices), default=list, blank=True)
    networks = ArrayField(models.CharField(max_length=43), default=list, blank=True)  # 192.0.2.0/24, 2001:db8::/32
    is_active = models.BooleanField(_("active"), default=True)
    created_by = models.ForeignKey(User, models.SET_NULL, null=True)
    created_at = models.DateTimeField(default=timezone.now)
    last_used_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return self.key_id

    # Questions

    def reaches(self, scope: Scope) -> bool:
        return not self.scopes or scope in self.scopes

    def may_come_from(self, ip: str | None) -> bool:
        """Return whether the key may be used from this address."""
        if not self.networks:
            return True
        try:
            peer = ipaddress.ip_address(ip or "")
        except ValueError:
            return False
        if isinstance(peer, ipaddress.IPv6Address) and peer.ipv4_mapped:
            peer = peer.ipv4_mapped
        return any(peer in ipaddress.ip_network(network) for network in self.networks)

    @property
    def secret(self) -> str:
        return encryption.decrypt(self.encrypted_secret)


class IdempotentCall(models.Model):
    """A call with an Idempotency-Key: claimed before its work begins, answered in the transaction that does it.

    `answer` empty: it is being worked on, until `claimed_until` at the latest.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="+", db_index=False)
    key = models.CharField(max_length=255)
    fingerprint = models.CharField(max_length=64)  # SHA-256 over what was asked
    claimed_until = models.DateTimeField()
    fence = models.UUIDField()  # of who works on it
    status = models.PositiveSmallIntegerField(null=True)
    encrypted_answer = models.TextField(blank=True, default="")  # it may hold a secret that is shown once
    created_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=["account", "key"], name="idempotent_call_once")]
        indexes = [models.Index(fields=["created_at"], name="idempotent_call_by_age")]

    def __str__(self) -> str:
        return self.key


class QuotaUse(models.Model):
    """What an account has spent in its current day and month."""

    account = models.OneToOneField(Account, models.CASCADE, primary_key=True, related_name="quota_use")
    day = models.DateField()
    day_used = models.PositiveIntegerField(default=0)
    month = models.DateField()  # its first day
    month_used = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.account}: {self.day_used} on {self.day}"


class AllowedAddresses(models.Model):
    """Internet addresses that an account's programs may send from, once it is protected: `first` to `last`."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="allowed_addresses")
    written = models.CharField(max_length=100)  # as its owner wrote it: one address, a range, or a network
    first = models.GenericIPAddressField()
    last = models.GenericIPAddressField()
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.UniqueConstraint(fields=["account", "first", "last"], name="allowed_addresses_once"),
        ]

    def __str__(self) -> str:
        return self.written


class AuditEntry(models.Model):
    """A change: who did what to which thing, when, from where. Never edited."""

    account = models.ForeignKey(Account, models.CASCADE, null=True, related_name="audit_entries")
    actor = models.CharField(_("who"), max_length=254)
    action = models.CharField(_("what"), max_length=64)
    target = models.CharField(_("which"), max_length=320, blank=True)
    details = models.JSONField(default=dict)
    ip = models.GenericIPAddressField(_("from"), null=True)
    at = models.DateTimeField(_("when"), default=timezone.now)

    class Meta:
        verbose_name = _("audit entry")
        verbose_name_plural = _("audit log")
        indexes = [models.Index(fields=["account", "-at"], name="audit_by_account")]

    def __str__(self) -> str:
        return f"{self.actor} {self.action} {self.target}"
