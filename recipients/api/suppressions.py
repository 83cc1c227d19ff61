"""Addresses that the account does not send to."""

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
from recipients.models import ADDRESS_LENGTH, Suppression
from recipients.services import suppressions

EXAMPLE = {
    "id": "77",
    "address": "gone@example.org",
    "reason": "bounced",
    "scope": "account",
    "scope_value": "",
    "source": "message 1042",
    "evidence": "550 5.1.1 no such user",
    "created_at": "2026-11-26T09:00:00Z",
}


@shown_as(EXAMPLE)
class SuppressionDetail(serializers.Serializer[Suppression]):
    id = serializers.CharField(source="pk")
    address = serializers.CharField()
    reason = serializers.ChoiceField(Suppression.Reason.choices)
    scope = serializers.ChoiceField(Suppression.Scope.choices)
    scope_value = serializers.CharField(help_text="The domain or sender address that it holds for.")
    source = serializers.CharField()  # type: ignore[assignment] # the name is the field's, in answers
    evidence = serializers.CharField(help_text="The server's words, or a note.")
    created_at = serializers.DateTimeField()


SuppressionPage = page_of(SuppressionDetail, EXAMPLE)


@asked_as({"addresses": ["gone@example.org", "never@example.org"], "note": "Asked for it by phone"})
class AddSuppressions(Shape):
    addresses = serializers.ListField(
        child=Text(max_length=ADDRESS_LENGTH), min_length=1, max_length=suppressions.MOST_AT_ONCE
    )
    note = Text(required=False, allow_blank=True, max_length=500, default="")


@shown_as({"added": 2})
class AddedSuppressions(serializers.Serializer[Any]):
    added = serializers.IntegerField(help_text="How many were not suppressed before.")


class SuppressionFilter(paging.Page):
    address = Text(required=False, max_length=ADDRESS_LENGTH, help_text="Only this one.")
    reason = serializers.ChoiceField(Suppression.Reason.choices, required=False)


class Removal(Shape):
    note = Text(max_length=500, help_text="Why the address may get mail again; kept in the audit log.")


class Suppressions(ApiView):
    scope = Scope.SUPPRESSIONS

    @extend_schema(
        operation_id="suppressions_list",
        summary="List suppressed addresses",
        parameters=[SuppressionFilter],
        responses=SuppressionPage,
    )
    def get(self, request: Request) -> Response:
        asked = paging.asked(SuppressionFilter, request)
        rows = Suppression.objects.for_account(self.account)
        if "address" in asked:
            rows = rows.filter(address=asked["address"].lower())
        if "reason" in asked:
            rows = rows.filter(reason=asked["reason"])
        return Response(paging.newest_first(rows, asked, lambda row: SuppressionDetail(row).data))

    @extend_schema(
        operation_id="suppressions_add",
        summary="Send nothing to these addresses any more",
        request=AddSuppressions,
        responses={200: AddedSuppressions},
    )
    @repeatable
    def post(self, request: Request) -> Response:
        wanted = bodies.wanted(AddSuppressions, request)
        return Response({"added": suppressions.add(**wanted, by=self.actor, now=timezone.now())})


class SuppressionView(ApiView):
    scope = Scope.SUPPRESSIONS

    @extend_schema(operation_id="suppressions_read", summary="A suppression", responses=SuppressionDetail)
    def get(self, _request: Request, pk: int) -> Response:
        return Response(SuppressionDetail(self.suppression(pk)).data)

    @extend_schema(
        operation_id="suppressions_remove",
        summary="Let an address get mail again",
        parameters=[Removal],
        responses={204: None},
    )
    @repeatable
    def delete(self, request: Request, pk: int) -> Response:
        suppression = self.suppression(pk)
        note = paging.asked(Removal, request)["note"]
        suppressions.remove(suppression, note=note, by=self.actor)
        return Response(status=204)

    def suppression(self, pk: int) -> Suppression:
        return get_object_or_404(Suppression.objects.for_account(self.account), pk=pk)
