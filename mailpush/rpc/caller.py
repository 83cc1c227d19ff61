"""Who calls an operation, and when."""

from dataclasses import dataclass
from datetime import datetime

from accounts.actors import Actor
from accounts.models import Account


@dataclass(frozen=True, slots=True)
class Caller:
    by: Actor
    now: datetime

    @property
    def account(self) -> Account:
        return self.by.account
