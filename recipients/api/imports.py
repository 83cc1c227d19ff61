"""Files into lists: uploaded, watched, and what was left out fetched."""

from typing import Any

from django.core.files.uploadedfile import UploadedFile
from django.http import FileResponse, Http404
from django.shortcuts import get_object_or_404
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiResponse, extend_schema
from rest_framework import serializers
from rest_framework.parsers import MultiPartParser
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api import paging
from accounts.api.fields import Shape
from accounts.api.schema import page_of, shown_as
from accounts.api.views import ApiView
from accounts.models import Scope
from mailpush.lib import files
from recipients.api.lists import OwnList
from recipients.http import UploadLimit
from recipients.models import Import
from recipients.services import imports

EXAMPLE = {
    "id": "8",
    "list": "4",
    "filename": "readers.csv",
    "status": "done",
    "percent": 100,
    "read": 1003,
    "added": 1000,
    "updated": 0,
    "duplicate": 1,
    "invalid": 2,
    "error": "",
    "created_at": "2026-11-26T09:00:00Z",
    "finished_at": "2026-11-26T09:00:03Z",
}


@shown_as(EXAMPLE)
class ImportDetail(serializers.Serializer[Import]):
    """read = added + updated + duplicate + invalid, once it is done."""

    id = serializers.CharField(source="pk")
    list = serializers.CharField(source="list_id")
    filename = serializers.CharField()
    status = serializers.ChoiceField(Import.Status.choices)
    percent = serializers.IntegerField()
    read = serializers.IntegerField()
    added = serializers.IntegerField()
    updated = serializers.IntegerField()
    duplicate = serializers.IntegerField()
    invalid = serializers.IntegerField(help_text="Lines that were left out; fetch them with their reasons.")
    error = serializers.CharField(help_text="Why nothing of the file was added; empty otherwise.")
    created_at = serializers.DateTimeField()
    finished_at = serializers.DateTimeField(allow_null=True)


ImportPage = page_of(ImportDetail, EXAMPLE)


class Upload(Shape):
    """A form with one file: txt or csv, a recipient in each line, up to 200 MB."""

    file = serializers.FileField()


class Uploads(OwnList):
    """Uploads are safe to repeat as they are: the same file changes nothing a second time."""

    parser_classes = [MultiPartParser]
    is_bounded = False

    @extend_schema(
        operation_id="imports_list", summary="Uploads into a list", parameters=[paging.Page], responses=ImportPage
    )
    def get(self, request: Request, pk: int) -> Response:
        asked = paging.asked(paging.Page, request)
        rows = Import.objects.filter(list=self.list(pk))
        return Response(paging.newest_first(rows, asked, lambda row: ImportDetail(row).data))

    @extend_schema(
        operation_id="imports_start",
        summary="Upload a file into a list",
        description="It is imported in the background; look at the import until it is done.",
        request={"multipart/form-data": Upload},
        responses={202: ImportDetail},
    )
    def post(self, request: Request, pk: int) -> Response:
        current = self.list(pk)
        asked = request._request  # noqa: SLF001 - DRF has no word for the request it wraps
        request.upload_handlers.insert(0, UploadLimit(asked))
        shape = Upload(data=request.data)
        files.must_have_come(asked)
        shape.is_valid(raise_exception=True)
        file: UploadedFile[Any] = shape.validated_data["file"]
        return Response(
            ImportDetail(imports.start(current, file=file, by=self.actor, now=timezone.now())).data, status=202
        )


class ImportView(ApiView):
    scope = Scope.LISTS

    @extend_schema(operation_id="imports_read", summary="How far an upload is", responses=ImportDetail)
    def get(self, _request: Request, pk: int) -> Response:
        return Response(ImportDetail(self.job(pk)).data)

    def job(self, pk: int) -> Import:
        return get_object_or_404(Import.objects.for_account(self.account), pk=pk)


class ImportRejects(ImportView):
    @extend_schema(
        operation_id="imports_rejected",
        summary="The lines that were left out, with their reasons",
        responses={(200, "text/csv"): OpenApiResponse(OpenApiTypes.BINARY, description="CSV: line, text, reason.")},
    )
    def get(self, _request: Request, pk: int) -> Any:
        job = self.job(pk)
        if not job.rejects:
            raise Http404
        return FileResponse(job.rejects.open("rb"), content_type="text/csv; charset=utf-8")
