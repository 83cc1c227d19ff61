"""Sending domains: added, proved, deleted."""

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
from domains.checks import advice
from domains.models import Domain, RecordCheck
from domains.services import domains

EXAMPLE = {
    "id": "3",
    "name": "news.example.com",
    "status": "unverified",
    "created_at": "2026-11-26T09:00:00Z",
    "verified_at": None,
    "checked_at": "2026-11-26T09:00:01Z",
}
RECORD = {
    "kind": "mx",
    "type": "MX",
    "host": "news.example.com",
    "value": "mx01.push.example.net",
    "priority": 10,
    "required": True,
    "outcome": "missing",
    "result": "There is no such record yet.",
    "found": [],
}


@shown_as(EXAMPLE)
class DomainSummary(serializers.Serializer[Domain]):
    id = serializers.CharField(source="pk")
    name = serializers.CharField()
    status = serializers.ChoiceField(Domain.Status.choices)
    created_at = serializers.DateTimeField()
    verified_at = serializers.DateTimeField(allow_null=True)
    checked_at = serializers.DateTimeField(allow_null=True)


class DnsRecord(serializers.Serializer[Any]):
    """A record to publish, and what was last found in its place."""

    kind = serializers.ChoiceField(RecordCheck.Kind.choices)
    type = serializers.CharField()
    host = serializers.CharField()
    value = serializers.CharField()
    priority = serializers.IntegerField(allow_null=True)
    required = serializers.BooleanField(source="is_required")  # type: ignore[assignment] # its name in answers
    outcome = serializers.ChoiceField(
        RecordCheck.Outcome.choices, allow_null=True, source="check.outcome", default=None
    )
    result = serializers.CharField()
    found = serializers.ListField(child=serializers.CharField(), source="check.found", default=list)


class DomainAdvice(serializers.Serializer[Any]):
    code = serializers.CharField()
    text = serializers.CharField()


@shown_as(EXAMPLE | {"records": [RECORD], "advice": []})
class DomainDetail(DomainSummary):
    records = DnsRecord(many=True)
    advice = DomainAdvice(many=True, help_text="What speaks against sending from it, though nothing forbids it.")

    def to_representation(self, instance: Domain) -> dict[str, Any]:
        return {
            **DomainSummary(instance).data,
            "records": DnsRecord(domains.records_of(instance), many=True).data,
            "advice": DomainAdvice(advice.of(instance), many=True).data,
        }


DomainPage = page_of(DomainSummary, EXAMPLE)


@asked_as({"name": "news.example.com"})
class AddDomain(Shape):
    name = Text(max_length=253, help_text="Best a subdomain that receives no mail of yours.")


class DomainFilter(paging.Page):
    name = Text(required=False, max_length=253, help_text="Only this one.")
    status = serializers.ChoiceField(Domain.Status.choices, required=False)


class Domains(ApiView):
    scope = Scope.DOMAINS
    is_atomic = False  # asks DNS

    @extend_schema(operation_id="domains_list", summary="List domains", parameters=[DomainFilter], responses=DomainPage)
    def get(self, request: Request) -> Response:
        asked = paging.asked(DomainFilter, request)
        rows = Domain.objects.for_account(self.account)
        if "name" in asked:
            rows = rows.filter(name=asked["name"].lower())
        if "status" in asked:
            rows = rows.filter(status=asked["status"])
        return Response(paging.newest_first(rows, asked, lambda row: DomainSummary(row).data))

    @extend_schema(
        operation_id="domains_create",
        summary="Add a domain",
        description="Publish the records of the answer, then verify. We look again by ourselves, too.",
        request=AddDomain,
        responses={201: DomainDetail},
    )
    @repeatable
    def post(self, request: Request) -> Response:
        domain, _advice = domains.create(bodies.wanted(AddDomain, request)["name"], by=self.actor, now=timezone.now())
        return Response(DomainDetail(domain).data, status=201)


class DomainView(ApiView):
    scope = Scope.DOMAINS

    @extend_schema(operation_id="domains_read", summary="A domain with its records", responses=DomainDetail)
    def get(self, _request: Request, pk: int) -> Response:
        return Response(DomainDetail(self.domain(pk)).data)

    @extend_schema(operation_id="domains_delete", summary="Delete a domain without senders", responses={204: None})
    @repeatable
    def delete(self, _request: Request, pk: int) -> Response:
        domains.delete(self.domain(pk), by=self.actor, now=timezone.now())
        return Response(status=204)

    def domain(self, pk: int) -> Domain:
        return get_object_or_404(Domain.objects.for_account(self.account).with_rows(), pk=pk)


class DomainVerify(DomainView):
    http_method_names = ["post"]
    is_atomic = False

    @extend_schema(
        operation_id="domains_verify", summary="Look the records up now", request=None, responses={200: DomainDetail}
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        return Response(DomainDetail(domains.verify(self.domain(pk), by=self.actor, now=timezone.now())).data)
