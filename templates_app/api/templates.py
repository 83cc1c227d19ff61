"""Mail templates: written, submitted for review, deleted."""

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
from templates_app.models import NAME_LENGTH, SENDER_NAME_LENGTH, SUBJECT_LENGTH, Template
from templates_app.services import templates
from templates_app.services.templates import BODY_BYTES, Draft

EXAMPLE = {
    "id": "7",
    "name": "Welcome",
    "subject": "Welcome, {UserName}",
    "sender_name": "Example Shop",
    "variables": ["UserName"],
    "status": "approved",
    "may_be_sent": True,
    "version": "9f2c4e7a60d1b83f5a7e9c0d4b6f8a1029384756abcdef0123456789abcdef01",
    "created_at": "2026-11-26T09:00:00Z",
    "updated_at": "2026-11-26T09:00:00Z",
    "submitted_at": "2026-11-26T09:05:00Z",
}
BODIES = {"html": "<p>Hello {UserName}</p>", "text": "Hello {UserName}"}
REVIEW = {"decision": "approved", "reason": "", "decided_at": "2026-11-26T10:00:00Z"}


@shown_as(EXAMPLE)
class TemplateSummary(serializers.Serializer[Template]):
    id = serializers.CharField(source="pk")
    name = serializers.CharField()
    subject = serializers.CharField()
    sender_name = serializers.CharField()
    variables = serializers.ListField(child=serializers.CharField())
    status = serializers.ChoiceField(
        Template.Status.choices, help_text="Of what stands here; an approved version goes on being sent meanwhile."
    )
    may_be_sent = serializers.BooleanField(help_text="Whether a version of it is approved.")
    version = serializers.CharField(source="content_hash", help_text="Changes with the content.")
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    submitted_at = serializers.DateTimeField(allow_null=True)


class ReviewDetail(serializers.Serializer[Any]):
    decision = serializers.ChoiceField([Template.Status.APPROVED, Template.Status.REJECTED])
    reason = serializers.CharField()
    decided_at = serializers.DateTimeField()


@shown_as(EXAMPLE | BODIES | {"reviews": [REVIEW]})
class TemplateDetail(TemplateSummary):
    html = serializers.CharField()
    text = serializers.CharField()
    reviews = ReviewDetail(many=True, help_text="The decisions on it, the newest first.")


TemplatePage = page_of(TemplateSummary, EXAMPLE)


@asked_as({"name": "Welcome", "subject": "Welcome, {UserName}", "sender_name": "Example Shop", **BODIES})
class WriteTemplate(Shape):
    name = Text(max_length=NAME_LENGTH, help_text="Letters of any script, digits and “-”, without spaces.")
    subject = Text(max_length=SUBJECT_LENGTH)
    sender_name = Text(max_length=SENDER_NAME_LENGTH, help_text="Shown beside the sender address.")
    html = Text(required=False, allow_blank=True, max_length=BODY_BYTES, default="")
    text = Text(
        required=False, allow_blank=True, max_length=BODY_BYTES, default="", help_text="Made of the HTML if empty."
    )


@asked_as(
    {
        "name": "Welcome",
        "subject": "Welcome, {UserName}",
        "sender_name": "Example Shop",
        **BODIES,
        "version": EXAMPLE["version"],
    }
)
class ChangeTemplate(WriteTemplate):
    version = Text(
        required=False,
        max_length=64,
        default="",
        allow_blank=True,
        help_text="The version you began with: if somebody has changed it since, you are told.",
    )


class TemplateFilter(paging.Page):
    name = Text(required=False, max_length=NAME_LENGTH, help_text="Only this one.")
    status = serializers.ChoiceField(Template.Status.choices, required=False)


class Templates(ApiView):
    scope = Scope.TEMPLATES

    @extend_schema(
        operation_id="templates_list", summary="List templates", parameters=[TemplateFilter], responses=TemplatePage
    )
    def get(self, request: Request) -> Response:
        asked = paging.asked(TemplateFilter, request)
        rows = Template.objects.for_account(self.account).without_bodies()
        if "name" in asked:
            rows = rows.filter(name__iexact=asked["name"])
        if "status" in asked:
            rows = rows.filter(status=asked["status"])
        return Response(paging.newest_first(rows, asked, lambda row: TemplateSummary(row).data))

    @extend_schema(
        operation_id="templates_create",
        summary="Write a template",
        description="It is a draft until it is submitted and a reviewer has approved it.",
        request=WriteTemplate,
        responses={201: TemplateDetail},
    )
    @repeatable
    def post(self, request: Request) -> Response:
        template = templates.create(Draft(**bodies.wanted(WriteTemplate, request)), by=self.actor, now=timezone.now())
        return Response(TemplateDetail(template).data, status=201)


class TemplateView(ApiView):
    scope = Scope.TEMPLATES

    @extend_schema(operation_id="templates_read", summary="A template", responses=TemplateDetail)
    def get(self, _request: Request, pk: int) -> Response:
        return self.shown(pk)

    @extend_schema(
        operation_id="templates_change",
        summary="Change a template",
        description="Other content makes it a draft again; what is approved goes on being sent.",
        request=ChangeTemplate,
        responses=TemplateDetail,
    )
    @repeatable
    def put(self, request: Request, pk: int) -> Response:
        template = self.template(pk)
        wanted = bodies.wanted(ChangeTemplate, request)
        seen = wanted.pop("version")
        templates.edit(template, Draft(**wanted), seen=seen, by=self.actor, now=timezone.now())
        return self.shown(pk)

    @extend_schema(operation_id="templates_delete", summary="Delete a template", responses={204: None})
    @repeatable
    def delete(self, _request: Request, pk: int) -> Response:
        templates.delete(self.template(pk), by=self.actor)
        return Response(status=204)

    def template(self, pk: int) -> Template:
        return get_object_or_404(Template.objects.for_account(self.account), pk=pk)

    def shown(self, pk: int) -> Response:
        return Response(TemplateDetail(self.template(pk)).data)


class TemplateSubmit(TemplateView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="templates_submit", summary="Ask for review", request=None, responses={200: TemplateDetail}
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        templates.submit(self.template(pk), by=self.actor, now=timezone.now())
        return self.shown(pk)


class TemplateWithdraw(TemplateView):
    http_method_names = ["post"]

    @extend_schema(
        operation_id="templates_withdraw",
        summary="Take it back from review",
        request=None,
        responses={200: TemplateDetail},
    )
    @repeatable
    def post(self, _request: Request, pk: int) -> Response:
        templates.withdraw(self.template(pk), by=self.actor)
        return self.shown(pk)
