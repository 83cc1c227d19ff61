"""The account behind an access key: what it may still send."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import extend_schema
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts import quotas
from accounts.api.schema import shown_as
from accounts.api.views import ApiView
from accounts.models import Role, Scope

QUOTA = {"quota": 200000, "used": 1042, "left": 198958, "resets_at": "2026-11-27T00:00:00Z"}


class QuotaDetail(serializers.Serializer[quotas.Allowance]):
    quota = serializers.IntegerField()
    used = serializers.IntegerField()
    left = serializers.IntegerField()
    resets_at = serializers.DateTimeField()


class KeyDetail(serializers.Serializer[Any]):
    id = serializers.CharField(source="key_id")
    label = serializers.CharField()  # type: ignore[assignment] # the name is the field's, in answers
    role = serializers.ChoiceField(Role.choices)
    scopes = serializers.ListField(child=serializers.ChoiceField(Scope.choices), help_text="Empty: all of them.")
    networks = serializers.ListField(child=serializers.CharField(), help_text="Empty: from anywhere.")


@shown_as(
    {
        "id": "1",
        "name": "Example Ltd",
        "may_send": True,
        "time_zone": "Asia/Shanghai",
        "day": QUOTA,
        "month": QUOTA | {"quota": 6000000, "left": 5998958, "resets_at": "2026-12-01T00:00:00Z"},
        "key": {
            "id": "MP0A1B2C3D4E5F60718293A4B5",
            "label": "Shop",
            "role": "developer",
            "scopes": ["messages.send"],
            "networks": ["192.0.2.0/24"],
        },
    }
)
class AccountDetail(serializers.Serializer[Any]):
    id = serializers.CharField()
    name = serializers.CharField()
    may_send = serializers.BooleanField()
    time_zone = serializers.CharField(help_text="Days of quota and statistics begin at midnight there.")
    day = QuotaDetail()
    month = QuotaDetail()
    key = KeyDetail(help_text="The access key of this call.")


class AccountView(ApiView):
    """Every key reaches it: a program may ask what it is."""

    def scope_of(self, _method: str) -> Scope | None:
        return None

    @extend_schema(
        operation_id="account_read",
        summary="Quota, and what this key may do",
        responses=AccountDetail,
        tags=["account"],
    )
    def get(self, _request: Request) -> Response:
        day, month = quotas.allowances(self.account, now=timezone.now())
        shown = {
            "id": self.account.pk,
            "name": self.account.name,
            "may_send": self.account.is_active,
            "time_zone": self.account.time_zone,
            "day": day,
            "month": month,
            "key": self.caller.key,
        }
        return Response(AccountDetail(shown).data)
