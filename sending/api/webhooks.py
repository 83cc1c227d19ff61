"""Webhooks: where your programs are told what happened, and how each call went."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import bodies, paging
from accounts.api.fields import Shape, Text
from accounts.api.schema import asked_as, page_of, shown_as
from accounts.api.views import ApiView, repeatable
from accounts.models import Scope
from sending.models import EventKind, Webhook, WebhookCall
from sending.models.webhook import URL_LENGTH
from sending.services import webhooks

EXAMPLE = {
    "id": "2",
    "url": "https://shop.example.com/mail-events",
    "kinds": ["message.delivered", "message.bounced"],
    "is_paused": False,
    "pause_reason": "",
    "failing_since": None,
    "created_at": "2026-11-26T09:00:00Z",
}
SECRET = {"secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw8SHKzgzFk4g="}
EVENT = {
    "id": "ledger-90210",
    "type": "message.bounced",
    "at": "2026-11-26T09:30:01+00:00",
    "data": {
        "message": "1042",
        "recipient": "gone@example.org",
        "sender": "no-reply@news.example.com",
        "tag": "codes",
        "batch": None,
        "attempt": 1,
        "host": "mx1.example.org [192.0.2.25]",
        "code": 550,
        "reply": "5.1.1 no such user",
        "failure": "no_mailbox",
        "invalid": True,
    },
}
CALL = {
    "id": "512",
    "message_id": "call_512",
    "status": "delivered",
    "attempts": 1,
    "next_attempt_at": None,
    "created_at": "2026-11-26T09:30:03Z",
    "finished_at": "2026-11-26T09:30:03Z",
}


@shown_as(EXAMPLE)
class WebhookDetail(serializers.Serializer[Webhook]):
    id = serializers.CharField(source="pk")
    url = serializers.CharField()
    kinds = serializers.ListField(child=serializers.ChoiceField(EventKind.choices))
    is_paused = serializers.BooleanField(help_text="Its calls wait then; we pause one that fails for a day.")
    pause_reason = serializers.CharField()
    failing_since = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


@shown_as(EXAMPLE | SECRET)
class NewWebhook(WebhookDetail):
    secret = serializers.CharField(help_text="Signs the calls; it is shown this once.")


WebhookPage = page_of(WebhookDetail, EXAMPLE)


@shown_as(SECRET)
class NewSecret(serializers.Serializer[Any]):
    secret = serializers.CharField(help_text="It is shown this once.")


@asked_as({"url": EXAMPLE["url"], "kinds": EXAMPLE["kinds"]})
class DescribeWebhook(Shape):
    url = Text(max_length=URL_LENGTH, help_text="Begins with https:// and leads to the public internet.")
    kinds = serializers.ListField(
        child=serializers.ChoiceField(EventKind.choices), min_length=1, max_length=len(EventKind), help_text="Of what."
    )


class WebhookEvent(serializers.Serializer[Any]):
    id = serializers.CharField()
    type = serializers.CharField()
    at = serializers.DateTimeField()
    data = serializers.DictField()  # type: ignore[assignment] # the name is the field's, in answers


class WebhookTryDetail(serializers.Serializer[Any]):
    at = serializers.DateTimeField()
    code = serializers.IntegerField(allow_null=True, help_text="The HTTP status that was answered.")
    problem = serializers.CharField(help_text="Why there was no answer; empty otherwise.")
    answer = serializers.CharField(help_text="The beginning of the answer's body.")
    seconds = serializers.FloatField()


@shown_as(CALL)
class WebhookCallSummary(serializers.Serializer[WebhookCall]):
    id = serializers.CharField(source="pk")
    message_id = serializers.CharField(help_text="The call's `webhook-id`.")
    status = serializers.ChoiceField(WebhookCall.Status.choices)
    attempts = serializers.IntegerField()
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


@shown_as(
    CALL
    | {
        "events": [EVENT],
        "tries": [{"at": "2026-11-26T09:30:03Z", "code": 204, "problem": "", "answer": "", "seconds": 0.12}],
    }
)
class WebhookCallDetail(WebhookCallSummary):
    events = WebhookEvent(many=True)
    tries = WebhookTryDetail(many=True)


WebhookCallPage = page_of(WebhookCallSummary, CALL)


class CallFilter(paging.Page):
    status = serializers.ChoiceField(WebhookCall.Status.choices, required=False)


class Webhooks(ApiView):
    scope = Scope.WEBHOOKS

    @extend_schema(
        operation_id="webhooks_list", summary="List webhooks", parameters=[paging.Page], responses=WebhookPage
    )
    def get(self, request: Request) -> Response:
        asked = paging.asked(paging.Page, request)
        rows = Webhook.objects.for_account(self.account)
        return Response(paging.newest_first(rows, asked, lambda row: WebhookDetail(row).data))

    @extend_schema(
        operation_id="webhooks_create",
        summary="Be told what happens",
        description='We POST `{"events": […]}`, up to 200 events a call, signed as Standard Webhooks has it '
        "(`webhook-id`, `webhook-timestamp`, `webhook-signature`). Answer 2xx within ten seconds; otherwise we try "
        "again for a day. A call can come twice: go by `webhook-id` or by the events' ids.",
        request=DescribeWebhook,
        responses={201: NewWebhook},
    )
    @repeatable
    def post(self, request: Request) -> Response:
        webhook = webhooks.create(**bodies.wanted(DescribeWebhook, request), by=self.actor, now=timezone.now())
        return Response(NewWebhook(webhook).data, status=201)


class OwnWebhook(ApiView):
    scope = Scope.WEBHOOKS

    def webhook(self, pk: int) -> Webhook:
        return get_object_or_404(Webhook.objects.for_account(self.account), pk=pk)

    def shown(self, pk: int) -> Response:
        return Response(WebhookDetail(self.webhook(pk)).data)


class WebhookView(OwnWebhook):
    @extend_schema(operation_id="webhooks_read", summary="A webhook", responses=WebhookDetail)
    def get(self, _request: Request, pk: int) -> Response:
        return self.shown(pk)

    @extend_schema(
        operation_id="webhooks_change", summary="Change a webhook", request=DescribeWebhook, responses=WebhookDetail
    )
    @repeatable
    def put(self, request: Request, pk: int) -> Response:
        webhook = self.webhook(pk)
        webhooks.change(webhook, **bodies.wanted(DescribeWebhook, request), by=self.actor)
        return self.shown(pk)

    @extend_schema(
        operation_id="webhooks_delete", summary="Delete a webhook and its waiting calls", responses={204: None}
    )
    @repeatable
    def delete(self, _request: Request, pk: int) -> Response:
        webhooks.delete(self.webhook(pk), by=self.actor)
        return Response(status=204)


class WebhookSecret(OwnWebhook):
    @extend_schema(
        operation_id="webhooks_renew_secret",
        summary="Get a new secret",
        description="For 24 hours calls carry two signatures, by the new secret and by the old one.",
        request=None,
        responses={200: NewSecret},
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        secret = webhooks.renew_secret(self.webhook(pk), by=self.actor, now=timezone.now())
        return Response({"secret": secret})


class WebhookPause(OwnWebhook):
    @extend_schema(
        operation_id="webhooks_pause", summary="Let its calls wait", request=None, responses={200: WebhookDetail}
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        webhooks.pause(self.webhook(pk), by=self.actor, now=timezone.now())
        return self.shown(pk)


class WebhookResume(OwnWebhook):
    @extend_schema(
        operation_id="webhooks_resume",
        summary="Call it again, first with all that has waited",
        request=None,
        responses={200: WebhookDetail},
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        webhooks.resume(self.webhook(pk), by=self.actor, now=timezone.now())
        return self.shown(pk)


class WebhookTryOut(OwnWebhook):
    @extend_schema(
        operation_id="webhooks_test",
        summary="Have it called with an event that nothing has caused",
        request=None,
        responses={202: WebhookCallSummary},
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        call = webhooks.try_out(self.webhook(pk), by=self.actor, now=timezone.now())
        return Response(WebhookCallSummary(call).data, status=202)


class WebhookCalls(OwnWebhook):
    @extend_schema(
        operation_id="webhook_calls_list",
        summary="Calls of the last week",
        parameters=[CallFilter],
        responses=WebhookCallPage,
    )
    def get(self, request: Request, pk: int) -> Response:
        asked = paging.asked(CallFilter, request)
        rows = self.webhook(pk).calls.defer("events")
        if "status" in asked:
            rows = rows.filter(status=asked["status"])
        return Response(paging.newest_first(rows, asked, lambda row: WebhookCallSummary(row).data))


class OwnCall(OwnWebhook):
    def call(self, pk: int, call_pk: int) -> WebhookCall:
        return get_object_or_404(WebhookCall, webhook=self.webhook(pk), pk=call_pk)


class WebhookCallView(OwnCall):
    @extend_schema(
        operation_id="webhook_calls_read", summary="A call, its events and every try", responses=WebhookCallDetail
    )
    def get(self, _request: Request, pk: int, call_pk: int) -> Response:
        return Response(call_detail(self.call(pk, call_pk)))


class WebhookCallAgain(OwnCall):
    @extend_schema(
        operation_id="webhook_calls_send_again",
        summary="Make a call once more",
        description="With the same `webhook-id` and events.",
        request=None,
        responses={202: WebhookCallDetail},
    )
    @repeatable
    def post(self, _request: Request, pk: int, call_pk: int) -> Response:
        webhooks.send_again(self.call(pk, call_pk), by=self.actor, now=timezone.now())
        return Response(call_detail(self.call(pk, call_pk)), status=202)


def call_detail(call: WebhookCall) -> dict[str, Any]:
    tries = call.tries.order_by("pk")
    return {
        **WebhookCallSummary(call).data,
        "events": call.events,
        "tries": WebhookTryDetail(tries, many=True).data,
    }
