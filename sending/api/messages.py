"""Single messages: sent, searched, looked at, called off."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import paging
from accounts.api.fields import Id, Text
from accounts.api.schema import page_of, shown_as
from accounts.api.views import ApiView, repeatable
from accounts.models import Scope
from accounts.services import ip_protection
from mailpush.mail.addresses import ADDRESS_LENGTH
from sending import reports
from sending.api.shapes import AcceptedMessages, SendMessages
from sending.models import Event, Message, Status
from sending.services import calling_off, sends

# One for all calls: a serializer is a quarter of a millisecond in the making, and keeps nothing of what it reads.
SEND = SendMessages()

SUMMARY_EXAMPLE = {
    "id": "1042",
    "recipient": "anna@example.org",
    "sender": "no-reply@news.example.com",
    "subject": "Your code: {Code}",
    "tag": "codes",
    "batch": None,
    "status": "delivered",
    "invalid": False,
    "attempts": 1,
    "accepted_at": "2026-11-26T09:30:00Z",
    "scheduled_at": None,
    "next_attempt_at": None,
    "finished_at": "2026-11-26T09:30:01Z",
    "last_reply": "250 2.0.0 Ok: queued as 4F1C2",
    "tracked": False,
}
EVENT_EXAMPLE = {
    "at": "2026-11-26T09:30:01Z",
    "was": "queued",
    "status": "delivered",
    "attempt": 1,
    "host": "mx1.example.org [192.0.2.25]",
    "code": 250,
    "failure": "",
    "reply": "2.0.0 Ok: queued as 4F1C2",
    "tls": True,
    "seconds": 0.31,
    "url": "",
    "reader": "",
}


@shown_as(SUMMARY_EXAMPLE)
class MessageSummary(serializers.Serializer[Message]):
    id = serializers.CharField()
    recipient = serializers.CharField()
    sender = serializers.CharField()
    subject = serializers.CharField(help_text="As it was submitted, with its variables.")
    tag = serializers.CharField(allow_null=True)
    batch = serializers.CharField(allow_null=True, help_text="The id of its batch.")
    status = serializers.ChoiceField(Status.choices)
    invalid = serializers.BooleanField(help_text="Whether the server says that there is no such mailbox.")
    attempts = serializers.IntegerField()
    accepted_at = serializers.DateTimeField()
    scheduled_at = serializers.DateTimeField(allow_null=True)
    next_attempt_at = serializers.DateTimeField(allow_null=True)
    finished_at = serializers.DateTimeField(allow_null=True)
    last_reply = serializers.CharField(help_text="What the receiving server said last.")
    tracked = serializers.BooleanField(help_text="Whether its opens and clicks are counted.")


class MessageEvent(serializers.Serializer[Event]):
    """A move of the message; one with an attempt is a conversation with a mail server.

    What readers of a tracked message do stands here, too: `opened` and `clicked`.
    """

    at = serializers.DateTimeField()
    was = serializers.CharField()
    status = serializers.ChoiceField([*Status.choices, *Event.Act.choices])
    attempt = serializers.IntegerField(allow_null=True)
    host = serializers.CharField()
    code = serializers.IntegerField(allow_null=True)
    failure = serializers.CharField(help_text="What kind of trouble it was, such as `no_mailbox`; empty for none.")
    reply = serializers.CharField()
    tls = serializers.BooleanField(allow_null=True)
    seconds = serializers.FloatField(allow_null=True)
    url = serializers.CharField(help_text="The link that was followed, with its variables.")
    reader = serializers.ChoiceField(
        ["", *Event.Reader.values],
        help_text="Who opened or followed: a `person`, a mail provider's `proxy` for one, or a `machine`, which no "
        "figure counts.",
    )


@shown_as(SUMMARY_EXAMPLE | {"events": [EVENT_EXAMPLE]})
class MessageDetail(MessageSummary):
    events = MessageEvent(many=True, help_text="Everything that happened to it, oldest first.")


MessagePage = page_of(MessageSummary, SUMMARY_EXAMPLE)


class MessageFilter(paging.Page):
    recipient = Text(required=False, max_length=ADDRESS_LENGTH, help_text="Only those to this address.")
    batch = Id(required=False, help_text="Only those of this batch. Without it and `recipient`: those of no batch.")
    status = serializers.ChoiceField(Status.choices, required=False)


class Messages(ApiView):
    def scope_of(self, method: str) -> Scope:
        sends_only = method == "POST" and Scope.SEND in self.caller.key.scopes
        return Scope.SEND if sends_only else Scope.MESSAGES

    @extend_schema(
        operation_id="messages_list",
        summary="Find messages",
        parameters=[MessageFilter],
        responses=MessagePage,
        tags=["messages"],
    )
    def get(self, request: Request) -> Response:
        asked = paging.asked(MessageFilter, request)
        rows = Message.objects.for_account(self.account).select_related("content__sender", "content__tag")
        if "recipient" in asked:
            rows = rows.to_recipient(asked["recipient"])
        if "batch" in asked:
            rows = rows.filter(batch=int(asked["batch"]))
        elif "recipient" not in asked:
            rows = rows.filter(batch=None)
        if "status" in asked:
            rows = rows.filter(status=asked["status"])
        return Response(paging.newest_first(rows, asked, summary))

    @extend_schema(
        operation_id="messages_send",
        summary="Send to one or up to 1,000 recipients",
        description="Each recipient gets a message of their own. When the answer is here, the messages are kept for "
        "good: they are delivered, bounced, or given up with a reason, and never lost.",
        request=SendMessages,
        responses={202: AcceptedMessages},
        tags=["messages"],
    )
    @repeatable
    def post(self, request: Request) -> Response:
        wanted = SEND.run_validation(request.data)
        ip_protection.must_be_allowed(self.actor.account, self.actor.ip)
        taken = sends.send(wanted, by=self.actor, now=timezone.now())
        accepted = [
            {"id": str(message.message_id), "recipient": to.address, "status": message.status}
            for message, to in zip(taken, wanted.recipients, strict=True)
        ]
        return Response({"data": accepted}, status=202)


class MessageView(ApiView):
    scope = Scope.MESSAGES

    @extend_schema(
        operation_id="messages_read",
        summary="What became of a message",
        responses=MessageDetail,
        tags=["messages"],
    )
    def get(self, _request: Request, pk: int) -> Response:
        return Response(detail(self._message(pk)))

    def _message(self, pk: int) -> Message:
        rows = Message.objects.for_account(self.account).select_related("content__sender", "content__tag")
        return get_object_or_404(rows, pk=pk)


class MessageCancel(MessageView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="messages_cancel",
        summary="Call off a message that waits",
        description="As long as it is not on its way to a mail server: a scheduled one, or one that waits to be "
        "tried again. What is called off on the day it was accepted does not count for the quota.",
        request=None,
        responses={200: MessageDetail},
        tags=["messages"],
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        calling_off.call_off(self._message(pk), by=self.actor, now=timezone.now())
        return Response(detail(self._message(pk)))


def summary(message: Message) -> dict[str, Any]:
    content = message.content
    accepted = content.created_at if message.is_scheduled else message.created_at
    return {
        "id": str(message.pk),
        "recipient": message.recipient,
        "sender": content.sender.address,
        "subject": content.readable_subject,
        "tag": content.tag.name if content.tag else None,
        "batch": str(message.batch_id) if message.batch_id else None,
        "status": message.status,
        "invalid": message.invalid,
        "attempts": message.attempts,
        "accepted_at": accepted,
        "scheduled_at": message.created_at if message.is_scheduled else None,
        "next_attempt_at": message.next_attempt_at,
        "finished_at": message.finished_at,
        "last_reply": message.last_reply,
        "tracked": content.is_tracked,
    }


def detail(message: Message) -> dict[str, Any]:
    names = list(MessageEvent().get_fields())
    events = [{name: getattr(event, name) for name in names} for event in reports.events_of(message)]
    return summary(message) | {"events": events}
