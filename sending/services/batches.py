"""Batches: ordering, pausing, resuming, canceling, deciding the unknown."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from recipients.models import RecipientList
from senders.models import Sender, Stream, Tag
from sending import expansion, ledger, tasks
from sending.models import AddressType, Batch, Chunk, Content, Message, Status
from sending.models.queue import CHUNK_SIZE
from templates_app.models import Template

FURTHEST = timedelta(days=365)


class SenderNotUsable(Refusal):
    code = "sender_not_usable"


class TemplateNotApproved(Refusal):
    code = "template_not_approved"


class ListEmpty(Refusal):
    code = "list_empty"


class BadSchedule(Refusal):
    code = "bad_schedule"


class WrongState(Refusal):
    """The batch has moved on meanwhile."""

    code = "wrong_state"


@dataclass(frozen=True, slots=True)
class Order:
    """A new send task as the manual's form has it; `at` empty means now.

    With a `key`, the same order given twice (a double click, a call repeated after a lost answer) is one batch.
    """

    list: RecipientList
    template: Template
    sender: Sender
    address_type: AddressType
    tag: Tag | None = None
    reply_to: str = ""  # empty: the sender's own
    reply_to_name: str = ""
    source_ips: Sequence[str] = ()  # empty: as the sender's configuration set says, else the stream's
    at: datetime | None = None
    key: UUID | None = None
    unsubscribe_scope: str = ""  # as in `Content`; empty: as the sender address says
    is_tracked: bool = False


def order(wanted: Order, *, by: Actor, now: datetime) -> Batch:
    """Accept a batch, or return the one that the same order has made; it is prepared and sent at its time.

    :raises SenderNotUsable: not a batch sender, or its domain is not verified.
    :raises TemplateNotApproved: the template has no approved version.
    :raises ListEmpty: nobody is on the list.
    :raises BadSchedule: the time has passed, or lies further away than a year.
    :raises QuotaSpent: the account may not send that many now.
    """
    by.must(Permission.WORK)
    if (ordered := _ordered(wanted, by=by)) is not None:
        return ordered
    try:
        return _place(wanted, by=by, now=now)
    except IntegrityError:  # another request placed it just now
        if (ordered := _ordered(wanted, by=by)) is not None:
            return ordered
        raise


def _ordered(wanted: Order, *, by: Actor) -> Batch | None:
    return Batch.objects.for_account(by.account).filter(order_key=wanted.key).first() if wanted.key else None


@transaction.atomic
def _place(wanted: Order, *, by: Actor, now: datetime) -> Batch:
    check(wanted, now=now)
    version = wanted.template.approved
    assert version
    content = Content.objects.create(
        account=by.account,
        sender=wanted.sender,
        tag=wanted.tag,
        stream=Stream.BATCH,
        address_type=wanted.address_type,
        kind=Content.Kind.COMPOSED,
        sender_name=version.sender_name,
        reply_to=wanted.reply_to or wanted.sender.usable_reply_to,
        unsubscribe_scope=wanted.unsubscribe_scope,
        is_tracked=wanted.is_tracked,
        reply_to_name=wanted.reply_to_name,
        source_ips=",".join(wanted.source_ips),
        subject=version.subject,
        html=version.html,
        text=version.text,
    )
    batch = Batch.objects.create(
        account=by.account,
        content=content,
        sender=wanted.sender,
        tag=wanted.tag,
        list=wanted.list,
        list_name=wanted.list.name,
        template=wanted.template,
        template_name=wanted.template.name,
        address_type=wanted.address_type,
        order_key=wanted.key,
        created_by=by.name,
        created_at=now,
        scheduled_at=wanted.at or now,
        requested=wanted.list.count,
    )
    audit.record("batch.created", by=by, target=batch, batch=batch.pk, content_hash=version.content_hash)
    if wanted.at is None:
        expansion.start(batch, now=now)
        transaction.on_commit(lambda: tasks.prepare(batch), robust=True)
    return batch


def check(wanted: Order, *, now: datetime) -> None:
    """Refuse what `order` would refuse, without ordering; the quota is looked at when it is spent."""
    check_sender(wanted.sender)
    if not wanted.template.may_be_sent:
        raise TemplateNotApproved(
            _("“%(name)s” has no approved version. Submit it for review first.") % {"name": wanted.template},
            field="template",
        )
    check_list(wanted.list)
    check_time(wanted.at, now=now)


def check_time(at: datetime | None, *, now: datetime) -> None:
    """:raises BadSchedule: it has passed, or lies further away than a year."""
    if at is not None and not now < at <= now + FURTHEST:
        raise BadSchedule(_("Choose a time in the future, within a year."), field="at")


def check_sender(sender: Sender) -> None:
    """:raises SenderNotUsable: not a batch sender, or its domain is not verified."""
    if sender.stream != Stream.BATCH:
        raise SenderNotUsable(
            _("%(address)s is for triggered mail. Choose a sender address of type batch.") % {"address": sender},
            field="sender",
        )
    if not sender.is_usable:
        raise SenderNotUsable(
            _("%(address)s may not send at present: see its domain %(domain)s.")
            % {"address": sender, "domain": sender.domain},
            field="sender",
        )


def check_list(audience: RecipientList) -> None:
    """:raises ListEmpty: nobody is on it."""
    if not audience.count:
        raise ListEmpty(_("Nobody is on “%(name)s” yet.") % {"name": audience}, field="list")


def pause(batch: Batch, *, by: Actor) -> None:
    """Stop handing out messages; those on the network end by themselves, retries wait.

    :raises WrongState: the batch is not being sent.
    """
    _move(batch, Batch.Status.PAUSED, by=by, deed="batch.paused")


@transaction.atomic
def resume(batch: Batch, *, by: Actor, now: datetime) -> None:
    """Go on with a paused batch.

    :raises WrongState: the batch is not paused.
    """
    _move(batch, Batch.Status.SENDING, by=by, deed="batch.resumed")
    ledger.finish_batches([batch.pk], now=now)
    transaction.on_commit(tasks.wake_lanes.delay, robust=True)


@transaction.atomic
def cancel(batch: Batch, *, by: Actor, now: datetime) -> None:
    """Send nothing more of it; messages that wait become canceled, and cost no quota if they were not tried yet.

    :raises WrongState: the batch is over.
    """
    before = Batch.objects.select_for_update().get(pk=batch.pk)
    _move(batch, Batch.Status.CANCELED, by=by, deed="batch.canceled")
    if before.status == Batch.Status.PREPARING:
        expansion.give_back(before)
    Batch.objects.filter(pk=batch.pk).update(finished_at=now)
    transaction.on_commit(lambda: tasks.withdraw_batch.delay(batch_id=batch.pk), robust=True)


@transaction.atomic
def send_unknown_again(batch: Batch, *, by: Actor, now: datetime) -> int:
    """Queue the messages whose outcome a crash hid; return how many. Some may arrive twice.

    :raises WrongState: the batch was canceled, or has none.
    """
    by.must(Permission.WORK)
    if batch.status == Batch.Status.CANCELED or not batch.unknown:
        raise WrongState(_("This batch has no message of unknown outcome to send again."))
    ids = list(Message.objects.filter(batch=batch, status=Status.UNKNOWN).values_list("pk", flat=True))
    moves = ledger.record([ledger.Outcome(pk, Status.QUEUED, at=now, is_attempt=False) for pk in ids])
    moved = sorted(pk for move in moves for pk in move.message_ids)
    Chunk.objects.bulk_create(
        Chunk(stream=Stream.BATCH, batch=batch, messages=moved[at : at + CHUNK_SIZE], due_at=now)
        for at in range(0, len(moved), CHUNK_SIZE)
    )
    Batch.objects.filter(pk=batch.pk, status=Batch.Status.DONE).update(status=Batch.Status.SENDING, finished_at=None)
    audit.record("batch.unknown_sent_again", by=by, target=batch, batch=batch.pk, messages=len(moved))
    transaction.on_commit(tasks.wake_lanes.delay, robust=True)
    return len(moved)


@transaction.atomic
def _move(batch: Batch, status: Batch.Status, *, by: Actor, deed: str) -> None:
    """Change the status in one conditional UPDATE: who comes too late matches nothing."""
    by.must(Permission.WORK)
    sources = [source for source, targets in Batch.TRANSITIONS.items() if status in targets]
    if not Batch.objects.filter(pk=batch.pk, account=by.account, status__in=sources).update(status=status):
        batch.refresh_from_db()
        raise WrongState(
            _("This batch is “%(status)s” by now; that is not possible any more.")
            % {"status": batch.get_status_display()}
        )
    batch.status = status
    audit.record(deed, by=by, target=batch, batch=batch.pk)
