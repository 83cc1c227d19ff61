"""Accounts, their members, and browsers logged in as them."""

from collections.abc import Callable

import pytest
from django.test import Client

from accounts.actors import Actor
from accounts.models import Account, Membership, Role
from tests.factories import AccountFactory, MembershipFactory


class MemberClient(Client):
    """A browser in which a member is logged in."""

    membership: Membership
    account: Account
    actor: Actor


@pytest.fixture
def account(db: None) -> Account:
    return AccountFactory(name="Example Ltd")


@pytest.fixture
def member(account: Account) -> Callable[[Role], Membership]:
    """Make members of `account`."""
    return lambda role: MembershipFactory(account=account, role=role)


@pytest.fixture
def owner(member: Callable[[Role], Membership]) -> Membership:
    return member(Role.OWNER)


@pytest.fixture
def actor(owner: Membership) -> Actor:
    """The owner of `account`."""
    return Actor.member(owner)


@pytest.fixture
def stranger(db: None) -> Actor:
    """The owner of another account."""
    return Actor.member(MembershipFactory(account=AccountFactory(name="Strangers Inc")))


@pytest.fixture
def client_of() -> Callable[[Membership], MemberClient]:
    """Log members in."""

    def log_in(membership: Membership) -> MemberClient:
        client = MemberClient()
        client.force_login(membership.user)
        client.membership = membership
        client.account = membership.account
        client.actor = Actor.member(membership)
        return client

    return log_in


@pytest.fixture
def owner_client(owner: Membership, client_of: Callable[[Membership], MemberClient]) -> MemberClient:
    return client_of(owner)
