"""Our web server with one more address: a bare Django REST framework view that stores one row.

It is what the APIs are compared with: same server, same middleware as pages have, same database, one INSERT.
"""

from django.urls import include, path
from django.utils import timezone
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.models import AuditEntry

PATH = "/bench/bare"


class Wanted(serializers.Serializer[AuditEntry]):
    action = serializers.CharField(max_length=64)
    target = serializers.CharField(max_length=320)
    actor = serializers.EmailField()


class Bare(APIView):
    def post(self, request: Request) -> Response:
        wanted = Wanted(data=request.data)
        wanted.is_valid(raise_exception=True)
        row = AuditEntry.objects.create(**wanted.validated_data, at=timezone.now())
        return Response({"id": row.pk}, status=201)


urlpatterns = [path(PATH.removeprefix("/"), Bare.as_view()), path("", include("mailpush.urls"))]
