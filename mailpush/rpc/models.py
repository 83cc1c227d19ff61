"""What the API keeps of its own: limits that operators set for single accounts."""

from django.core.validators import MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from accounts.models import Account

OPERATION_LENGTH = 64


class OperationLimit(models.Model):
    """How often an account may call an operation, instead of the usual (`registry.OPERATIONS`).

    Without an operation it holds for every one that has no line of its own.
    """

    account = models.ForeignKey(Account, models.CASCADE, related_name="+", verbose_name=_("account"))
    operation = models.CharField(_("operation"), max_length=OPERATION_LENGTH, blank=True)
    calls = models.PositiveIntegerField(_("calls"), validators=[MinValueValidator(1)])
    seconds = models.PositiveIntegerField(_("within seconds"), default=1, validators=[MinValueValidator(1)])

    class Meta:
        verbose_name = _("API limit of an account")
        verbose_name_plural = _("API limits of accounts")
        constraints = [
            models.UniqueConstraint(fields=["account", "operation"], name="operation_limit_once"),
            models.CheckConstraint(condition=Q(calls__gte=1, seconds__gte=1), name="operation_limit_positive"),
        ]

    def __str__(self) -> str:
        return f"{self.account}: {self.operation or '*'} {self.calls} / {self.seconds} s"


class Upload(models.Model):
    """A file that an SDK has uploaded, to attach or validate it; kept for a day."""

    account = models.ForeignKey(Account, models.CASCADE, related_name="+")
    key = models.CharField(max_length=100, unique=True)
    file = models.CharField(max_length=255)  # name in the default storage
    size = models.PositiveIntegerField()  # bytes
    digest = models.CharField(max_length=32)  # MD5, as object stores have it
    created_at = models.DateTimeField()

    class Meta:
        indexes = [models.Index(fields=["created_at"], name="upload_by_age")]

    def __str__(self) -> str:
        return self.key
