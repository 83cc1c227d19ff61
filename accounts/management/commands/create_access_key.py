"""Make an access key from the command line."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.actors import Actor
from accounts.models import Membership
from accounts.services import access_keys
from mailpush.lib.refusals import Refusal


class Command(BaseCommand):
    help = "Create an access key with a user's own role in their first account and print it as JSON."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL", help="the user who makes the key")

    def handle(self, *, email: str, **_options: Any) -> None:
        memberships = Membership.objects.select_related("account", "user").order_by("pk")
        membership = memberships.filter(user__email=email.strip().lower()).first()
        if membership is None:
            raise CommandError(f"{email} is no member of any account. Make one with create_account.")
        actor = Actor.member(membership)
        try:
            key, secret = access_keys.create(by=actor, label="", role=actor.role, now=timezone.now())
        except Refusal as refusal:
            raise CommandError(refusal.message) from refusal
        self.stdout.write(json.dumps({"access_key_id": key.key_id, "access_key_secret": secret}))
