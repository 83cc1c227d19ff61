"""Tags: they sort what is sent in the statistics."""

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
from senders.models import TAG_LENGTH, Tag
from senders.services import tags

EXAMPLE = {"id": "5", "name": "codes", "created_at": "2026-11-26T09:00:00Z"}


@shown_as(EXAMPLE)
class TagDetail(serializers.Serializer[Tag]):
    id = serializers.CharField(source="pk")
    name = serializers.CharField()
    created_at = serializers.DateTimeField()


TagPage = page_of(TagDetail, EXAMPLE)


@asked_as({"name": "codes"})
class NameTag(Shape):
    name = Text(max_length=TAG_LENGTH, help_text="Letters of any script, digits, “_” and “-”.")


class Tags(ApiView):
    scope = Scope.SENDERS

    @extend_schema(operation_id="tags_list", summary="List tags", parameters=[paging.Page], responses=TagPage)
    def get(self, request: Request) -> Response:
        asked = paging.asked(paging.Page, request)
        rows = Tag.objects.for_account(self.account)
        return Response(paging.newest_first(rows, asked, lambda row: TagDetail(row).data))

    @extend_schema(operation_id="tags_create", summary="Create a tag", request=NameTag, responses={201: TagDetail})
    @repeatable
    def post(self, request: Request) -> Response:
        tag = tags.create(bodies.wanted(NameTag, request)["name"], by=self.actor, now=timezone.now())
        return Response(TagDetail(tag).data, status=201)


class TagView(ApiView):
    scope = Scope.SENDERS

    @extend_schema(operation_id="tags_read", summary="A tag", responses=TagDetail)
    def get(self, _request: Request, pk: int) -> Response:
        return Response(TagDetail(self.tag(pk)).data)

    @extend_schema(
        operation_id="tags_rename",
        summary="Rename a tag, also in past statistics",
        request=NameTag,
        responses=TagDetail,
    )
    @repeatable
    def put(self, request: Request, pk: int) -> Response:
        tag = self.tag(pk)
        tags.rename(tag, bodies.wanted(NameTag, request)["name"], by=self.actor)
        return Response(TagDetail(self.tag(pk)).data)

    @extend_schema(operation_id="tags_delete", summary="Delete a tag", responses={204: None})
    @repeatable
    def delete(self, _request: Request, pk: int) -> Response:
        tags.delete(self.tag(pk), by=self.actor, now=timezone.now())
        return Response(status=204)

    def tag(self, pk: int) -> Tag:
        return get_object_or_404(Tag.objects.for_account(self.account), pk=pk)
