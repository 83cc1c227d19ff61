"""Recipient lists and the recipients on them."""

from typing import Any

from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.utils.translation import gettext as _
from drf_spectacular.utils import extend_schema, extend_schema_field
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import bodies, paging
from accounts.api.fields import Shape, Text
from accounts.api.schema import asked_as, page_of, shown_as
from accounts.api.views import ApiView, repeatable
from accounts.models import Scope
from mailpush.mail.variables import LENGTHS
from recipients.models import ADDRESS_LENGTH, LIST_NAME_LENGTH, Recipient, RecipientList
from recipients.services import lists, many, recipients

EXAMPLE = {
    "id": "4",
    "name": "Newsletter",
    "alias": "newsletter@lists.example.com",
    "description": "Everybody who asked for it",
    "count": 1000,
    "created_at": "2026-11-26T09:00:00Z",
}
RECIPIENT = {
    "id": "100042",
    "address": "anna@example.org",
    "variables": {"UserName": "Anna Smith", "NickName": "Anna"},
    "created_at": "2026-11-26T09:00:00Z",
}
VARIABLES = {
    "type": "object",
    "additionalProperties": False,
    "properties": {name: {"type": "string", "maxLength": length} for name, length in LENGTHS.items()},
}


@shown_as(EXAMPLE)
class ListDetail(serializers.Serializer[RecipientList]):
    id = serializers.CharField(source="pk")
    name = serializers.CharField()
    alias = serializers.CharField(help_text="The address that names it in calls and at the SMTP door.")
    description = serializers.CharField()
    count = serializers.IntegerField(help_text="How many recipients are on it.")
    created_at = serializers.DateTimeField()


ListPage = page_of(ListDetail, EXAMPLE)


@asked_as({"name": "Newsletter", "alias": "newsletter@lists.example.com"})
class DescribeList(Shape):
    name = Text(max_length=LIST_NAME_LENGTH)
    alias = Text(max_length=254)
    description = Text(required=False, allow_blank=True, max_length=200, default="")


@extend_schema_field(VARIABLES)
class Variables(serializers.Field):  # type: ignore[type-arg]
    """Texts by name; the service knows the names."""

    def to_internal_value(self, data: Any) -> dict[str, str]:
        if not isinstance(data, dict) or not all(isinstance(value, str) for value in data.values()):
            raise serializers.ValidationError(_("Write an object of texts."))
        for name, value in data.items():
            Text(allow_blank=True).run_validation(name)
            Text(allow_blank=True).run_validation(value)
        return data

    def to_representation(self, value: Any) -> Any:
        return value


@shown_as(RECIPIENT)
class RecipientDetail(serializers.Serializer[Recipient]):
    id = serializers.CharField(source="pk")
    address = serializers.CharField()
    variables = Variables()
    created_at = serializers.DateTimeField()


RecipientPage = page_of(RecipientDetail, RECIPIENT)


@asked_as({"address": "anna@example.org", "variables": {"UserName": "Anna Smith"}})
class ChangeRecipient(Shape):
    address = Text(max_length=ADDRESS_LENGTH)
    variables = Variables(required=False, default=dict)


@extend_schema_field(
    {
        "type": "array",
        "minItems": 1,
        "maxItems": many.MOST,
        "items": {
            "type": "object",
            "required": ["address"],
            "additionalProperties": False,
            "properties": {"address": {"type": "string", "maxLength": ADDRESS_LENGTH}, "variables": VARIABLES},
        },
    }
)
class Entries(serializers.Field):  # type: ignore[type-arg]
    """Up to ten thousand recipients; what is wrong with one is said in the answer and keeps no other away."""

    def to_internal_value(self, data: Any) -> list[many.Entry]:
        if not isinstance(data, list) or not 1 <= len(data) <= many.MOST:
            raise serializers.ValidationError(_("Write a list of 1 to %(most)d recipients.") % {"most": many.MOST})
        return [_entry(number, entry) for number, entry in enumerate(data)]

    def to_representation(self, value: Any) -> Any:
        return value


def _entry(number: int, data: Any) -> many.Entry:
    """Return the entry as it is; only what is not even of its shape is refused here."""
    if not isinstance(data, dict) or not isinstance(data.get("address"), str):
        raise _wrong(number, "address", _("Write an object with an address."))
    if unknown := data.keys() - {"address", "variables"}:
        raise _wrong(number, str(min(unknown))[:64], _("There is no such field."))
    variables = data.get("variables", {})
    if not isinstance(variables, dict) or not all(isinstance(value, str) for value in variables.values()):
        raise _wrong(number, "variables", _("Write an object of texts."))
    return many.Entry(data["address"], variables)


def _wrong(number: int, name: str, message: str) -> serializers.ValidationError:
    mistakes: Any = {number: {name: [message]}}
    return serializers.ValidationError(mistakes)


@asked_as(
    {
        "recipients": [
            {"address": "anna@example.org", "variables": {"UserName": "Anna Smith"}},
            {"address": "ben@example.org"},
        ]
    }
)
class AddRecipients(Shape):
    recipients = Entries()


class RejectedRecipient(serializers.Serializer[Any]):
    index = serializers.IntegerField(help_text="Where it stood in the call, from 0.")
    address = serializers.CharField()
    code = serializers.CharField()
    message = serializers.CharField()


@shown_as(
    {
        "added": 1,
        "updated": 0,
        "duplicate": 0,
        "rejected": [
            {"index": 1, "address": "ben", "code": "bad_recipient", "message": "“ben” is not an e-mail address."}
        ],
    }
)
class AddedRecipients(serializers.Serializer[Any]):
    """Together with what was rejected they are all of the call."""

    added = serializers.IntegerField()
    updated = serializers.IntegerField(help_text="They were on the list; variables that were given are changed.")
    duplicate = serializers.IntegerField(help_text="They stood in the call again later, and that counts.")
    rejected = RejectedRecipient(many=True)


class ListFilter(paging.Page):
    name = Text(required=False, max_length=LIST_NAME_LENGTH, help_text="Only this one.")
    alias = Text(required=False, max_length=254, help_text="Only this one.")


class RecipientFilter(paging.Page):
    address = Text(required=False, max_length=ADDRESS_LENGTH, help_text="Only this one.")


class Lists(ApiView):
    scope = Scope.LISTS

    @extend_schema(operation_id="lists_list", summary="List the lists", parameters=[ListFilter], responses=ListPage)
    def get(self, request: Request) -> Response:
        asked = paging.asked(ListFilter, request)
        rows = RecipientList.objects.for_account(self.account)
        for name in ("name", "alias"):
            if name in asked:
                rows = rows.filter(**{f"{name}__iexact": asked[name]})
        return Response(paging.newest_first(rows, asked, lambda row: ListDetail(row).data))

    @extend_schema(
        operation_id="lists_create", summary="Make an empty list", request=DescribeList, responses={201: ListDetail}
    )
    @repeatable
    def post(self, request: Request) -> Response:
        made = lists.create(**bodies.wanted(DescribeList, request), by=self.actor, now=timezone.now())
        return Response(ListDetail(made).data, status=201)


class OwnList(ApiView):
    scope = Scope.LISTS

    def list(self, pk: int) -> RecipientList:
        return get_object_or_404(RecipientList.objects.for_account(self.account), pk=pk)


class ListView(OwnList):
    @extend_schema(operation_id="lists_read", summary="A list", responses=ListDetail)
    def get(self, _request: Request, pk: int) -> Response:
        return Response(ListDetail(self.list(pk)).data)

    @extend_schema(
        operation_id="lists_change",
        summary="Change name, alias and description",
        request=DescribeList,
        responses=ListDetail,
    )
    @repeatable
    def put(self, request: Request, pk: int) -> Response:
        current = self.list(pk)
        return Response(ListDetail(lists.edit(current, **bodies.wanted(DescribeList, request), by=self.actor)).data)

    @extend_schema(operation_id="lists_delete", summary="Delete a list with everybody on it", responses={204: None})
    @repeatable
    def delete(self, _request: Request, pk: int) -> Response:
        lists.delete(self.list(pk), by=self.actor, now=timezone.now())
        return Response(status=204)


class Recipients(OwnList):
    @extend_schema(
        operation_id="recipients_list",
        summary="Who is on a list",
        parameters=[RecipientFilter],
        responses=RecipientPage,
    )
    def get(self, request: Request, pk: int) -> Response:
        asked = paging.asked(RecipientFilter, request)
        rows = Recipient.objects.filter(list=self.list(pk))
        if "address" in asked:
            rows = rows.at(asked["address"])
        return Response(paging.newest_first(rows, asked, lambda row: RecipientDetail(row).data))

    @extend_schema(
        operation_id="recipients_add",
        summary="Put up to 10,000 recipients on a list",
        description="Who is on it already is updated: values that are given replace those of the list.",
        request=AddRecipients,
        responses={200: AddedRecipients},
    )
    @repeatable
    def post(self, request: Request, pk: int) -> Response:
        current = self.list(pk)
        wanted = bodies.wanted(AddRecipients, request)
        added = many.add(current, wanted["recipients"], by=self.actor, now=timezone.now())
        return Response(AddedRecipients(added).data)


class RecipientView(OwnList):
    @extend_schema(operation_id="recipients_read", summary="A recipient", responses=RecipientDetail)
    def get(self, _request: Request, pk: int, recipient_pk: int) -> Response:
        return Response(RecipientDetail(self.recipient(pk, recipient_pk)).data)

    @extend_schema(
        operation_id="recipients_change",
        summary="Change a recipient",
        request=ChangeRecipient,
        responses=RecipientDetail,
    )
    @repeatable
    def put(self, request: Request, pk: int, recipient_pk: int) -> Response:
        current = self.recipient(pk, recipient_pk)
        wanted = bodies.wanted(ChangeRecipient, request)
        return Response(RecipientDetail(recipients.edit(current, **wanted, by=self.actor)).data)

    @extend_schema(operation_id="recipients_delete", summary="Take a recipient off the list", responses={204: None})
    @repeatable
    def delete(self, _request: Request, pk: int, recipient_pk: int) -> Response:
        recipient = self.recipient(pk, recipient_pk)
        recipients.delete(recipient.list, ids=[recipient.pk], by=self.actor)
        return Response(status=204)

    def recipient(self, pk: int, recipient_pk: int) -> Recipient:
        return get_object_or_404(Recipient.objects.select_related("list"), list=self.list(pk), pk=recipient_pk)
