"""Accepting single messages: from the platform itself and from programs."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import transaction

from accounts import quotas
from recipients import suppression
from senders.models import Sender
from sending import bodies, ledger, tasks
from sending.models import UNROUTED, AddressType, Chunk, Content, Destination, Message, Status


@dataclass(frozen=True, slots=True)
class Addressee:
    """A recipient and the values of its variables."""

    address: str
    variables: dict[str, str] | None = None


@transaction.atomic
def accept(content: Content, recipients: Sequence[Addressee], *, now: datetime) -> list[Message]:
    """Store a content and a message for each recipient; they are on their way when the transaction commits.

    A suppressed recipient gets a message that says so and is never tried.

    :param content: not saved yet; its sender has been checked by the caller.
    :raises QuotaSpent: the account may not send that many.
    """
    content.save()
    account = content.account
    suppressed = suppression.suppressed_addresses(
        account.pk,
        [to.address.lower() for to in recipients],
        sender=content.sender.address,
        domain=content.sender.domain.name,
    )
    wanted = [to for to in recipients if to.address.lower() not in suppressed]
    day = quotas.today(account, now) if account.is_platform else quotas.spend(account, len(wanted), now=now)
    messages = Message.objects.bulk_create(
        Message(
            account=account,
            content=content,
            recipient=to.address,
            variables=to.variables,
            status=Status.SUPPRESSED if to.address.lower() in suppressed else Status.QUEUED,
            day=day,
            created_at=now,
            finished_at=now if to.address.lower() in suppressed else None,
        )
        for to in recipients
    )
    numbers = {Status.QUEUED: len(wanted), Status.SUPPRESSED: len(recipients) - len(wanted)}
    ledger.accept(content, numbers, batch_id=None, day=day, now=now)
    _queue(content, [message for message in messages if message.status == Status.QUEUED], now=now)
    return messages


def submit_mime(mime: bytes, *, sender: Sender, recipients: Sequence[str], now: datetime) -> list[Message]:
    """Accept a finished message (headers and body, CRLF) for its envelope recipients."""
    fields: dict[str, Any] = bodies.store(mime)
    content = Content(
        account=sender.account,
        sender=sender,
        stream=sender.stream,
        address_type=AddressType.RANDOM,
        created_at=now,
        **fields,
    )
    return accept(content, [Addressee(address) for address in recipients], now=now)


def _queue(content: Content, messages: list[Message], *, now: datetime) -> None:
    """Put messages into the lanes of their sites, as far as those are known, and wake the lanes."""
    domains = {message.recipient.rpartition("@")[2] for message in messages}
    known = Destination.objects.filter(domain__in=domains, expires_at__gt=now)
    sites = {destination.domain: destination.site for destination in known}
    lanes: dict[str, list[int]] = {}
    for message in messages:
        lanes.setdefault(sites.get(message.recipient.rpartition("@")[2], UNROUTED), []).append(message.pk)
    Chunk.objects.bulk_create(
        Chunk(stream=content.stream, site=site, messages=ids, due_at=now) for site, ids in lanes.items()
    )
    # robust: with the broker down the message is still accepted; the next beat wakes its lane.
    transaction.on_commit(lambda: tasks.wake(content.stream, lanes.keys()), robust=True)
