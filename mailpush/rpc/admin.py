"""Operations: how often an account may call the API."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts import audit
from accounts.actors import Actor
from accounts.http import client_ip
from accounts.models import User
from mailpush.rpc.models import OperationLimit
from mailpush.rpc.registry import OPERATIONS


class LimitForm(forms.ModelForm):  # type: ignore[type-arg]
    operation = forms.ChoiceField(
        label=_("operation"),
        required=False,
        choices=[("", _("every other")), *((name, name) for name in sorted(OPERATIONS))],
    )

    class Meta:
        model = OperationLimit
        fields = ["account", "operation", "calls", "seconds"]


@admin.register(OperationLimit)
class OperationLimitAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    form = LimitForm
    list_display = ["account", "operation", "calls", "seconds"]
    list_select_related = ["account"]
    search_fields = ["account__name", "operation"]
    raw_id_fields = ["account"]

    def save_model(self, request: HttpRequest, obj: OperationLimit, form: Any, change: Any) -> None:
        super().save_model(request, obj, form, change)
        self._note(request, "api_limit.set", obj, calls=obj.calls, seconds=obj.seconds)

    def delete_model(self, request: HttpRequest, obj: OperationLimit) -> None:
        super().delete_model(request, obj)
        self._note(request, "api_limit.removed", obj)

    def _note(self, request: HttpRequest, action: str, limit: OperationLimit, **details: int) -> None:
        assert isinstance(request.user, User)
        by = Actor.operator(request.user, limit.account, ip=client_ip(request))
        audit.record(action, by=by, target=limit.operation or "*", **details)
