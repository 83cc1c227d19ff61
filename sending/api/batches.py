"""Batches: ordered, watched, paused, resumed, canceled, sent to the rest."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.db.models import OuterRef, Subquery, Sum
from django.db.models.functions import Coalesce
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import bodies, paging
from accounts.api.fields import Id, Shape, Text
from accounts.api.schema import asked_as, page_of, shown_as
from accounts.api.views import ApiView, repeatable
from accounts.models import Account, Scope
from accounts.services import ip_protection
from recipients.models import RecipientList
from senders.models import Sender, Tag
from sending.models import AddressType, Batch, LinkCount
from sending.models.batch import BatchQuerySet
from sending.services import batches, rests
from templates_app.models import Template

COUNTS = ("total", "delivered", "bounced", "failed", "suppressed", "canceled", "unknown", "deferred", "waiting")
MOST_LINKS = 1000
EXAMPLE = {
    "id": "31",
    "list": "4",
    "list_name": "Newsletter",
    "template": "7",
    "template_name": "Welcome",
    "sender": "news@news.example.com",
    "tag": "autumn",
    "address_type": "random",
    "status": "sending",
    "problem": "",
    "rest_of": None,
    "requested": 1000,
    "counts": dict(zip(COUNTS, (1000, 600, 20, 0, 15, 0, 0, 30, 365), strict=True)),
    "tracked": True,
    "readings": {"opens": 310, "unique_opens": 240, "clicks": 58, "unique_clicks": 41},
    "progress": 63,
    "created_by": "access key MP0A1B2C3D4E5F60718293A4B5",
    "created_at": "2026-11-26T09:00:00Z",
    "scheduled_at": "2026-11-26T09:00:00Z",
    "started_at": "2026-11-26T09:00:00Z",
    "finished_at": None,
}


class BatchCounts(serializers.Serializer[Batch]):
    """total = delivered + bounced + failed + suppressed + canceled + unknown + waiting; deferred is part of waiting."""

    total = serializers.IntegerField()
    delivered = serializers.IntegerField()
    bounced = serializers.IntegerField(help_text="A server refused it for good.")
    failed = serializers.IntegerField(help_text="We gave up after every retry.")
    suppressed = serializers.IntegerField(help_text="On the suppression list, so never tried.")
    canceled = serializers.IntegerField()
    unknown = serializers.IntegerField(help_text="A crash hid the server's answer; they may have arrived.")
    deferred = serializers.IntegerField(help_text="Wait to be tried again.")
    waiting = serializers.IntegerField()


class BatchReadings(serializers.Serializer[Batch]):
    """What readers of a tracked batch did, without what machines did. A unique one is the first of its message."""

    opens = serializers.IntegerField(default=0)
    unique_opens = serializers.IntegerField(default=0)
    clicks = serializers.IntegerField(default=0)
    unique_clicks = serializers.IntegerField(default=0)


@shown_as(EXAMPLE)
class BatchDetail(serializers.Serializer[Batch]):
    id = serializers.CharField(source="pk")
    list = serializers.CharField(source="list_id", allow_null=True)
    list_name = serializers.CharField()
    template = serializers.CharField(source="template_id", allow_null=True)
    template_name = serializers.CharField()
    sender = serializers.CharField(source="sender.address")
    tag = serializers.CharField(source="tag.name", allow_null=True, default=None)
    address_type = serializers.ChoiceField(AddressType.choices)
    status = serializers.ChoiceField(Batch.Status.choices)
    problem = serializers.CharField(help_text="Why it was not started; empty otherwise.")
    rest_of = serializers.CharField(source="rest_of_id", allow_null=True, help_text="The batch whose rest it goes to.")
    requested = serializers.IntegerField(help_text="How many were on the list when it was ordered or started.")
    counts = BatchCounts(source="*")
    tracked = serializers.BooleanField(source="content.is_tracked")
    readings = BatchReadings(source="*")
    progress = serializers.IntegerField(help_text="Percent with a final answer.")
    created_by = serializers.CharField()
    created_at = serializers.DateTimeField()
    scheduled_at = serializers.DateTimeField()
    started_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)


class FollowedLink(serializers.Serializer[Any]):
    url = serializers.CharField(help_text="With its variables.")
    clicks = serializers.IntegerField(source="count")


@shown_as(EXAMPLE | {"links": [{"url": "https://shop.example.com/autumn?for={UserName}", "clicks": 58}]})
class BatchWithLinks(BatchDetail):
    links = FollowedLink(many=True, help_text="Those that were followed, the most followed first; 1,000 at most.")


BatchPage = page_of(BatchDetail, EXAMPLE)


@asked_as(
    {"list": "4", "template": "7", "sender": "news@news.example.com", "tag": "autumn"},
    {"list": "4", "template": "7", "sender": "news@news.example.com", "at": "2027-01-31T09:00:00+08:00"},
)
class OrderBatch(Shape):
    list = Id(help_text="A recipient list's id.")
    template = Id(help_text="A template's id; what is approved of it is sent.")
    sender = Text(max_length=254, help_text="One of your sender addresses of type batch.")
    address_type = serializers.ChoiceField(
        AddressType.choices,
        default=AddressType.RANDOM.value,
        help_text="The envelope sender. `random`: each bounce finds its message.",
    )
    tag = Text(required=False, max_length=128, help_text="One of your tags, by name.")
    at = serializers.DateTimeField(required=False, help_text="When it is to start, within a year; left out: now.")
    tracked = serializers.BooleanField(
        default=False,
        help_text="Whether opens and clicks of the HTML body are counted: its links then lead through this platform.",
    )


@asked_as({}, {"at": "2027-01-31T09:00:00+08:00"})
class SendToRest(Shape):
    at = serializers.DateTimeField(required=False, help_text="When it is to start; left out: now.")


@shown_as({"messages": 2})
class SentAgain(serializers.Serializer[Any]):
    messages = serializers.IntegerField(help_text="How many were put back into the queue.")


class BatchFilter(paging.Page):
    status = serializers.ChoiceField(Batch.Status.choices, required=False)
    list = Id(required=False, help_text="Only those to this list.")


class Batches(ApiView):
    scope = Scope.BATCHES

    @extend_schema(operation_id="batches_list", summary="List batches", parameters=[BatchFilter], responses=BatchPage)
    def get(self, request: Request) -> Response:
        asked = paging.asked(BatchFilter, request)
        rows = shown_batches(self.account)
        if "status" in asked:
            rows = rows.filter(status=asked["status"])
        if "list" in asked:
            rows = rows.filter(list=int(asked["list"]))
        return Response(paging.newest_first(rows, asked, lambda row: BatchDetail(row).data))

    @extend_schema(
        operation_id="batches_order",
        summary="Send an approved template to a list",
        description="The list as it is when the batch starts is its audience; later changes of list or template "
        "change nothing.",
        request=OrderBatch,
        responses={202: BatchDetail},
    )
    @repeatable
    def post(self, request: Request) -> Response:
        wanted = bodies.wanted(OrderBatch, request)
        ip_protection.must_be_allowed(self.actor.account, self.actor.ip)
        batch = batches.order(self._order(wanted), by=self.actor, now=timezone.now())
        return Response(BatchDetail(batch).data, status=202)

    def _order(self, wanted: dict[str, Any]) -> batches.Order:
        senders = Sender.objects.for_account(self.account).select_related("account", "domain")
        tags = Tag.objects.for_account(self.account)
        lists = RecipientList.objects.for_account(self.account)
        templates = Template.objects.for_account(self.account).without_bodies().select_related("approved")
        return batches.Order(
            list=_own(lists.filter(pk=int(wanted["list"])), "list"),
            template=_own(templates.filter(pk=int(wanted["template"])), "template"),
            sender=_own(senders.filter(address=wanted["sender"].lower()), "sender"),
            address_type=AddressType(wanted["address_type"]),
            tag=_own(tags.filter(name__iexact=wanted["tag"]), "tag") if "tag" in wanted else None,
            at=wanted.get("at"),
            is_tracked=wanted["tracked"],
        )


class BatchView(ApiView):
    scope = Scope.BATCHES

    @extend_schema(operation_id="batches_read", summary="A batch and its counts", responses=BatchWithLinks)
    def get(self, _request: Request, pk: int) -> Response:
        batch = self.batch(pk)
        links = LinkCount.objects.filter(batch=batch).by_url()[:MOST_LINKS]
        return Response(BatchDetail(batch).data | {"links": FollowedLink(links, many=True).data})

    def batch(self, pk: int) -> Batch:
        return get_object_or_404(shown_batches(self.account), pk=pk)

    def done(self, pk: int, deed: Callable[[Batch, datetime], object]) -> Response:
        """Do something with a batch and show what it is then."""
        deed(self.batch(pk), timezone.now())
        return Response(BatchDetail(self.batch(pk)).data)


class BatchPause(BatchView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="batches_pause",
        summary="Pause a batch",
        description="What is on its way to a mail server still arrives.",
        request=None,
        responses={200: BatchDetail},
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        return self.done(pk, lambda batch, _now: batches.pause(batch, by=self.actor))


class BatchResume(BatchView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="batches_resume", summary="Go on with a paused batch", request=None, responses={200: BatchDetail}
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        return self.done(pk, lambda batch, now: batches.resume(batch, by=self.actor, now=now))


class BatchCancel(BatchView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="batches_cancel",
        summary="Send nothing more of a batch",
        request=None,
        responses={200: BatchDetail},
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        return self.done(pk, lambda batch, now: batches.cancel(batch, by=self.actor, now=now))


class BatchSendUnknown(BatchView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="batches_send_unknown",
        summary="Send the messages of unknown outcome again",
        description="A crash hid the server's answer to them. Some may arrive twice.",
        request=None,
        responses={200: SentAgain},
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        count = batches.send_unknown_again(self.batch(pk), by=self.actor, now=timezone.now())
        return Response({"messages": count})


class BatchSendToRest(BatchView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="batches_send_to_rest",
        summary="Send it to those on the list who have not got it",
        description="Makes a new batch of the same mail, to everybody who is on the list now and has not got it: added "
        "since, canceled, or given up. Who has it, may have it, or was refused for good gets no second one.",
        request=SendToRest,
        responses={202: BatchDetail},
    )
    @repeatable
    def post(self, request: Request, pk: int) -> Response:
        batch = self.batch(pk)
        again = rests.send(batch, **bodies.wanted(SendToRest, request), by=self.actor, now=timezone.now())
        return Response(BatchDetail(again).data, status=202)


def shown_batches(account: Account) -> BatchQuerySet:
    """Return an account's batches with all that is told of them; what readers did is summed up for a page alone."""
    sums = {name: Coalesce(Subquery(_sum(name)), 0) for name in LinkCount.NUMBERS}
    rows = Batch.objects.for_account(account).annotate(**sums).select_related("sender", "tag", "content")
    return rows.defer("content__html", "content__text", "content__mime")  # megabytes each


def _sum(name: str) -> Any:
    rows = LinkCount.objects.filter(batch=OuterRef("pk")).values("batch")
    return rows.annotate(sum=Sum(name)).values("sum")


def _own(rows: Any, field: str) -> Any:
    found = rows.first()
    if found is None:
        raise serializers.ValidationError({field: serializers.ErrorDetail(_("You have no such thing."), "not_found")})
    return found
