"""A file of addresses to be examined."""

import secrets
from typing import Self

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.models import Account


def new_token() -> str:
    return secrets.token_hex(16)


class AddressFileQuerySet(models.QuerySet["AddressFile"]):
    def for_account(self, account: Account) -> Self:
        return self.filter(account=account)


class AddressFile(models.Model):
    """What was found of a file's addresses; the counts add up to `processed`."""

    class Status(models.TextChoices):
        QUEUED = "queued", _("Waiting")
        RUNNING = "running", _("Being examined")
        DONE = "done", _("Done")
        FAILED = "failed", _("Failed")  # `error` says why

    account = models.ForeignKey(Account, models.CASCADE, related_name="+")
    token = models.CharField(max_length=32, unique=True, default=new_token)  # its name for programs
    name = models.CharField(max_length=255)
    source = models.CharField(max_length=255, blank=True)  # in the default storage; removed when it is over
    result = models.CharField(max_length=255, blank=True)  # CSV, in the default storage
    address_column = models.PositiveSmallIntegerField(default=1)
    has_heading = models.BooleanField(default=False)
    removes_duplicates = models.BooleanField(default=False)
    status = models.CharField(max_length=7, choices=Status.choices, default=Status.QUEUED)
    error = models.TextField(blank=True)
    total = models.PositiveIntegerField(default=0)
    processed = models.PositiveIntegerField(default=0)
    valid = models.PositiveIntegerField(default=0)
    invalid = models.PositiveIntegerField(default=0)
    do_not_mail = models.PositiveIntegerField(default=0)
    unknown = models.PositiveIntegerField(default=0)
    attempts = models.PositiveSmallIntegerField(default=0)  # the newest one may write
    claimed_until = models.DateTimeField(null=True)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    objects = AddressFileQuerySet.as_manager()

    class Meta:
        indexes = [
            models.Index(fields=["account", "-created_at"], name="address_file_by_account"),
            models.Index(
                fields=["id"], condition=models.Q(status__in=["queued", "running"]), name="address_file_unfinished"
            ),
        ]

    def __str__(self) -> str:
        return self.name

    # Questions

    @property
    def percent(self) -> int:
        if self.status == self.Status.DONE:
            return 100
        return self.processed * 100 // self.total if self.total else 0
