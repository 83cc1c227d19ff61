"""Make an account from the command line."""

import json
import secrets
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.services.accounts import create_account
from mailpush.lib.refusals import Refusal

PASSWORD_BYTES = 15


class Command(BaseCommand):
    help = "Create an account with its owner and print it as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="what the owner logs in with; counts as verified")
        parser.add_argument("--password", metavar="P", help="one is made and printed when left out")
        parser.add_argument("--staff", action="store_true", help="may review templates and operate the platform")

    def handle(self, *, email: str, password: str | None, staff: bool, **_options: Any) -> None:
        password = password or secrets.token_urlsafe(PASSWORD_BYTES)
        try:
            membership = create_account(email=email, password=password, staff=staff, now=timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        account = {"account_id": membership.account_id, "email": membership.user.email, "password": password}
        self.stdout.write(json.dumps(account))
