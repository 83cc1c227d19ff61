"""Sender addresses: created on verified domains, given a reply address and an SMTP password, deleted."""

from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import bodies, paging
from accounts.api.fields import Id, Shape, Text
from accounts.api.schema import asked_as, page_of, shown_as
from accounts.api.views import ApiView, repeatable
from accounts.models import Scope
from senders.models import Sender, Stream
from senders.services import reply_addresses, senders

EXAMPLE = {
    "id": "12",
    "address": "no-reply@news.example.com",
    "domain": "3",
    "stream": "trigger",
    "is_usable": True,
    "reply_to": "office@example.com",
    "reply_to_confirmed": True,
    "has_smtp": False,
    "created_at": "2026-11-26T09:00:00Z",
}


@shown_as(EXAMPLE)
class SenderDetail(serializers.Serializer[Sender]):
    id = serializers.CharField(source="pk")
    address = serializers.CharField()
    domain = serializers.CharField(source="domain_id", help_text="The id of its domain.")
    stream = serializers.ChoiceField(Stream.choices, help_text="`trigger` for codes and receipts, `batch` for lists.")
    is_usable = serializers.BooleanField()
    reply_to = serializers.CharField()
    reply_to_confirmed = serializers.SerializerMethodField()
    has_smtp = serializers.BooleanField(help_text="Whether it has a password for the SMTP door.")
    created_at = serializers.DateTimeField()

    def get_reply_to_confirmed(self, sender: Sender) -> bool:
        return sender.reply_to_verified_at is not None


SenderPage = page_of(SenderDetail, EXAMPLE)


@asked_as({"domain": "3", "account_part": "no-reply", "stream": "trigger", "reply_to": "office@example.com"})
class AddSender(Shape):
    domain = Id(help_text="The id of a verified domain.")
    account_part = Text(max_length=64, help_text="What stands before the @.")
    stream = serializers.ChoiceField(Stream.choices)
    reply_to = Text(required=False, allow_blank=True, max_length=60, help_text="Gets a link mailed to confirm it.")


@asked_as({"reply_to": "office@example.com"})
class ChangeSender(Shape):
    reply_to = Text(allow_blank=True, max_length=60, help_text="Gets a link mailed to confirm it; empty for none.")


@asked_as({"password": "Correct-Horse-77"}, {})
class SetSmtpPassword(Shape):
    password = Text(required=False, max_length=20, help_text="Left out: we make a good one.")


@shown_as({"password": "Correct-Horse-77"})
class SmtpPassword(serializers.Serializer[str]):
    password = serializers.CharField(help_text="It is shown this once.")


class SenderFilter(paging.Page):
    address = Text(required=False, max_length=254, help_text="Only this one.")
    stream = serializers.ChoiceField(Stream.choices, required=False)


class Senders(ApiView):
    scope = Scope.SENDERS

    @extend_schema(
        operation_id="senders_list", summary="List sender addresses", parameters=[SenderFilter], responses=SenderPage
    )
    def get(self, request: Request) -> Response:
        asked = paging.asked(SenderFilter, request)
        rows = Sender.objects.for_account(self.account).select_related("domain", "account")
        if "address" in asked:
            rows = rows.filter(address=asked["address"].lower())
        if "stream" in asked:
            rows = rows.filter(stream=asked["stream"])
        return Response(paging.newest_first(rows, asked, lambda row: SenderDetail(row).data))

    @extend_schema(
        operation_id="senders_create",
        summary="Create a sender address",
        description="Address and stream stay as they are for good.",
        request=AddSender,
        responses={201: SenderDetail},
    )
    @repeatable
    def post(self, request: Request) -> Response:
        wanted = bodies.wanted(AddSender, request)
        domain_id = int(wanted.pop("domain"))
        sender = senders.create(
            wanted.pop("account_part"), domain_id=domain_id, **wanted, by=self.actor, now=timezone.now()
        )
        return Response(SenderDetail(sender).data, status=201)


class SenderView(ApiView):
    scope = Scope.SENDERS

    @extend_schema(operation_id="senders_read", summary="A sender address", responses=SenderDetail)
    def get(self, _request: Request, pk: int) -> Response:
        return Response(SenderDetail(self.sender(pk)).data)

    @extend_schema(
        operation_id="senders_change",
        summary="Change the reply address",
        request=ChangeSender,
        responses=SenderDetail,
    )
    @repeatable
    def patch(self, request: Request, pk: int) -> Response:
        sender = self.sender(pk)
        wanted = bodies.wanted(ChangeSender, request)
        reply_addresses.change(sender, wanted["reply_to"], by=self.actor, now=timezone.now())
        return Response(SenderDetail(self.sender(pk)).data)

    @extend_schema(operation_id="senders_delete", summary="Delete a sender address", responses={204: None})
    @repeatable
    def delete(self, _request: Request, pk: int) -> Response:
        senders.delete(self.sender(pk), by=self.actor, now=timezone.now())
        return Response(status=204)

    def sender(self, pk: int) -> Sender:
        return get_object_or_404(Sender.objects.for_account(self.account).select_related("domain", "account"), pk=pk)


class SenderSmtp(SenderView):
    http_method_names = ["put", "delete"]

    @extend_schema(
        operation_id="senders_smtp_open",
        summary="Set a password for the SMTP door",
        description="The sender logs in there with its address and this password; an earlier one stops working.",
        request=SetSmtpPassword,
        responses=SmtpPassword,
    )
    @repeatable
    def put(self, request: Request, pk: int) -> Response:
        sender = self.sender(pk)
        password = bodies.wanted(SetSmtpPassword, request).get("password")
        if password is None:
            password = senders.generate_smtp_password(sender, by=self.actor)
        else:
            senders.set_smtp_password(sender, password, by=self.actor)
        return Response({"password": password})

    @extend_schema(operation_id="senders_smtp_close", summary="Close the SMTP door for it", responses={204: None})
    @repeatable
    def delete(self, _request: Request, pk: int) -> Response:
        senders.clear_smtp_password(self.sender(pk), by=self.actor)
        return Response(status=204)
