"""Sender addresses (From) and the tags that sort what they send."""

from typing import Self

from django.db import models
from django.db.models import Q
from django.db.models.functions import Lower
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import Account
from domains.models import Domain

REPLY_ADDRESS_LENGTH = 60  # manual, "New sender address"
TAG_LENGTH = 128  # DirectMail's CreateTag


class Stream(models.TextChoices):
    """What kind of mail it is; the two never share queues, workers or source addresses."""

    TRIGGER = "trigger", _("Triggered")
    BATCH = "batch", pgettext_lazy("type of mail", "Batch")


class UnsubscribeScope(models.TextChoices):
    """How far an unsubscribe from this sender's mail reaches (DirectMail's UnSubscribeFilterLevel)."""

    SENDER = "sender", _("this sender address")
    DOMAIN = "domain", _("every sender address of its domain")
    ACCOUNT = "account", _("every sender address of the account")


class SenderQuerySet(models.QuerySet["Sender"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account, deleted_at=None)


class Sender(models.Model):
    """An address mail is sent from. Address and type never change after creation."""

    # Whose SMTP password lets in the whole domain, under the domain's name; the account part is DirectMail's.
    DOMAIN_LOGIN = "domain-auth-created-by-system"

    account = models.ForeignKey(Account, models.CASCADE, related_name="senders")
    domain = models.ForeignKey(Domain, models.PROTECT, related_name="senders")
    address = models.CharField(_("address"), max_length=254)  # lower case
    stream = models.CharField(_("type"), max_length=7, choices=Stream.choices)
    reply_to = models.CharField(_("reply address"), max_length=REPLY_ADDRESS_LENGTH, blank=True)
    reply_to_verified_at = models.DateTimeField(null=True)
    # When the link that confirms it was last mailed; bounds how many a stranger can be sent.
    reply_to_asked_at = models.DateTimeField(null=True)
    # Replies that come to the sender address go on to the confirmed reply address; otherwise they are refused.
    forwards_replies = models.BooleanField(default=False)
    unsubscribe_scope = models.CharField(
        max_length=7, choices=UnsubscribeScope.choices, default=UnsubscribeScope.SENDER
    )
    # After a crash hid the server's answer: send again, or leave it to the customer. None: as the type says.
    resends_unknown = models.BooleanField(null=True)
    # What it is and why: senders.services.senders.
    smtp_password_hash = models.CharField(max_length=255, blank=True)
    is_frozen = models.BooleanField(default=False)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    deleted_at = models.DateTimeField(null=True)

    objects = SenderQuerySet.as_manager()

    class Meta:
        constraints = [
            # Per account: two accounts may hold one domain one after the other.
            models.UniqueConstraint(
                Lower("address"), "account", condition=Q(deleted_at=None), name="sender_address_once"
            ),
            models.CheckConstraint(condition=Q(stream__in=Stream.values), name="sender_stream_known"),
        ]
        indexes = [models.Index(fields=["address"], name="sender_by_address")]  # the doors look them up

    def __str__(self) -> str:
        return self.address

    # Questions

    @property
    def sends_unknown_again(self) -> bool:
        """A code is better received twice than never; a campaign is not."""
        return self.stream == Stream.TRIGGER if self.resends_unknown is None else self.resends_unknown

    @property
    def is_usable(self) -> bool:
        return not self.is_frozen and self.deleted_at is None and self.domain.may_send and self.account.is_active

    @property
    def has_smtp(self) -> bool:
        return bool(self.smtp_password_hash)

    @property
    def is_domain_login(self) -> bool:
        return self.address.partition("@")[0] == self.DOMAIN_LOGIN

    @property
    def smtp_user(self) -> str:
        """The user name at the submission door."""
        return self.domain.name if self.is_domain_login else self.address

    @property
    def usable_reply_to(self) -> str:
        """The reply address, once its owner has confirmed it."""
        return self.reply_to if self.reply_to_verified_at else ""


class TagQuerySet(models.QuerySet["Tag"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account, deleted_at=None)


class Tag(models.Model):
    """A word that sorts sends in statistics. Deleted tags stay readable in old messages."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="tags")
    name = models.CharField(_("name"), max_length=TAG_LENGTH)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    deleted_at = models.DateTimeField(null=True)

    objects = TagQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(Lower("name"), "account", condition=Q(deleted_at=None), name="tag_name_once"),
        ]

    def __str__(self) -> str:
        return self.name
