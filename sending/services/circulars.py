"""Batches that a program has written itself, without a template of ours."""

from datetime import datetime
from uuid import UUID

from django.db import IntegrityError, transaction

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.mail.circular import Circular
from recipients.models import RecipientList
from senders.models import Sender, Stream, Tag
from sending import expansion, tasks
from sending.models import AddressType, Batch, Content
from sending.services import batches
from templates_app.models import NAME_LENGTH
from templates_app.services import templates

NO_NAME = "-"  # what the rules for templates see where a circular has no sender's name


def send(
    circular: Circular,
    *,
    audience: RecipientList,
    sender: Sender,
    tag: Tag | None = None,
    address_type: AddressType = AddressType.RANDOM,
    is_tracked: bool = False,
    key: UUID | None = None,
    by: Actor,
    now: datetime,
) -> Batch:
    """Send a circular to everybody on a list, each with their own variables.

    With a `key`, the same circular given twice (a call repeated after a lost answer) is one batch.

    :raises SenderNotUsable: not a batch sender, or its domain is not verified.
    :raises ListEmpty: nobody is on the list.
    :raises QuotaSpent: the account may not send that many now.
    :raises BadSubject, BadSenderName, BadBody, BadVariable: see `templates_app.services.templates.check`.
    """
    by.must(Permission.WORK)
    if (sent := _sent(key, by=by)) is not None:
        return sent
    batches.check_sender(sender)
    batches.check_list(audience)
    content = _content(circular, sender=sender, tag=tag, address_type=address_type, now=now)
    content.is_tracked = is_tracked
    try:
        return _order(content, audience=audience, key=key, by=by, now=now)
    except IntegrityError:  # another call ordered it just now
        if (sent := _sent(key, by=by)) is not None:
            return sent
        raise


def _sent(key: UUID | None, *, by: Actor) -> Batch | None:
    return Batch.objects.for_account(by.account).filter(order_key=key).first() if key else None


def _content(
    circular: Circular, *, sender: Sender, tag: Tag | None, address_type: AddressType, now: datetime
) -> Content:
    """Return what a template of this content would become, not saved yet; it takes its time."""
    draft = templates.Draft("circular", circular.subject, circular.sender_name or NO_NAME, circular.html, circular.text)
    prepared = templates.check(draft)
    return Content(
        account=sender.account,
        sender=sender,
        tag=tag,
        stream=Stream.BATCH,
        address_type=address_type,
        kind=Content.Kind.COMPOSED,
        sender_name=circular.sender_name,
        reply_to=circular.reply_to,
        subject=circular.subject,
        html=prepared.html,
        text=prepared.text,
        created_at=now,
    )


@transaction.atomic
def _order(content: Content, *, audience: RecipientList, key: UUID | None, by: Actor, now: datetime) -> Batch:
    content.save()
    batch = Batch.objects.create(
        account=content.account,
        content=content,
        sender=content.sender,
        tag=content.tag,
        list=audience,
        list_name=audience.name,
        template_name=content.subject[:NAME_LENGTH],  # what the list of batches shows of it
        address_type=content.address_type,
        order_key=key,
        created_by=by.name,
        created_at=now,
        scheduled_at=now,
        requested=audience.count,
    )
    audit.record("batch.created", by=by, target=batch, batch=batch.pk)
    expansion.start(batch, now=now)
    transaction.on_commit(lambda: tasks.prepare(batch), robust=True)
    return batch
