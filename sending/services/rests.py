"""Batches to the rest: the same mail once more, to those on its list who have not got it yet."""

from datetime import datetime

from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from sending import audience, expansion, tasks
from sending.models import Batch
from sending.services import batches


class ListGone(Refusal):
    code = "list_gone"


class NobodyLeft(Refusal):
    """Everybody on the list has been reached, or refused for good."""

    code = "nobody_left"


def send(batch: Batch, *, at: datetime | None = None, by: Actor, now: datetime) -> Batch:
    """Send the same mail to those on its list who have not got it: added since, canceled, or given up.

    Who has it, may have it, or was refused for good gets no second one. A batch to the rest can have a rest, too.

    :raises WrongState: it, or another to its rest, is not over.
    :raises ListGone: its list was deleted.
    :raises NobodyLeft: everybody on the list has been reached or refused.
    :raises SenderNotUsable, BadSchedule, QuotaSpent: as in `order`.
    """
    by.must(Permission.WORK)
    with transaction.atomic():
        first = Batch.objects.select_for_update(of=("self",)).get(pk=batch.first_id, account=by.account)
        _must_be_over(first)
        batch = Batch.objects.select_related("content__sender__domain", "content__sender__account", "list").get(
            pk=batch.pk, account=by.account
        )
        if batch.list is None or batch.list.deleted_at is not None:
            raise ListGone(_("The batch's recipient list was deleted."))
        batches.check_sender(batch.content.sender)
        batches.check_time(at, now=now)
        requested = audience.rest(batch).count()
        if not requested:
            raise NobodyLeft(_("Everybody on the list has been reached, or was refused for good."))
        return _repeat(batch, first=first, requested=requested, at=at, by=by, now=now)


def _must_be_over(first: Batch) -> None:
    family = Batch.objects.filter(Q(pk=first.pk) | Q(rest_of=first))
    if family.exclude(status__in=[Batch.Status.DONE, Batch.Status.CANCELED]).exists():
        raise batches.WrongState(_("The batch, or one to its rest, is not over yet. Cancel it or wait for its end."))


def _repeat(batch: Batch, *, first: Batch, requested: int, at: datetime | None, by: Actor, now: datetime) -> Batch:
    again = Batch.objects.create(
        account=batch.account,
        content=batch.content,
        sender=batch.content.sender,
        tag=batch.tag,
        list=batch.list,
        list_name=batch.list_name,
        template=batch.template,
        template_name=batch.template_name,
        address_type=batch.address_type,
        rest_of=first,
        created_by=by.name,
        created_at=now,
        scheduled_at=at or now,
        requested=requested,
    )
    audit.record("batch.sent_to_rest", by=by, target=again, batch=again.pk, rest_of=first.pk)
    if at is None:
        expansion.start(again, now=now)
        transaction.on_commit(lambda: tasks.prepare(again), robust=True)
    return again
