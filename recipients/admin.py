"""Operations: lists, imports and suppressions to look at; suppressions of the whole platform to edit."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from mailpush.mail.addresses import BadAddress, parse
from recipients.models import Import, RecipientList, Suppression


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg] # generic for the type checker alone
    """Rows that their owners change, in the console."""

    show_full_result_count = False  # COUNT(*) over big tables

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


@admin.register(RecipientList)
class RecipientListAdmin(ReadOnlyAdmin):
    list_display = ["name", "account", "alias", "count", "created_at", "deleted_at"]
    list_select_related = ["account"]
    search_fields = ["name", "alias", "account__name"]


@admin.register(Import)
class ImportAdmin(ReadOnlyAdmin):
    list_display = ["filename", "list", "status", "size", "read", "added", "invalid", "attempts", "created_at"]
    list_filter = ["status", "created_at"]
    list_select_related = ["list"]
    search_fields = ["filename", "list__name"]
    exclude = ["file", "rejects"]


class PlatformSuppressionForm(forms.ModelForm):  # type: ignore[type-arg]
    """A suppression that holds for every account."""

    class Meta:
        model = Suppression
        fields = ["address", "reason", "evidence"]

    def clean_address(self) -> str:
        try:
            return parse(self.cleaned_data["address"]).key
        except BadAddress as problem:
            raise forms.ValidationError(str(problem)) from problem

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        others = Suppression.objects.filter(
            account=None, address=cleaned.get("address"), scope=Suppression.Scope.ACCOUNT
        ).exclude(pk=self.instance.pk)
        if others.exists():
            raise forms.ValidationError(_("The address is suppressed for the whole platform already."))
        return cleaned


@admin.register(Suppression)
class SuppressionAdmin(ReadOnlyAdmin):
    """Accounts' suppressions are theirs; the platform's (no account) are the operators'."""

    form = PlatformSuppressionForm
    list_display = ["address", "account", "reason", "scope", "scope_value", "source", "created_at"]
    list_filter = [("account", admin.EmptyFieldListFilter), "reason", "scope"]
    list_select_related = ["account"]
    search_fields = ["address"]

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("recipients.add_suppression")

    def has_change_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        return request.user.has_perm("recipients.change_suppression") and _is_platforms(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Suppression | None = None) -> bool:
        # Not in bulk (obj is None): the selection could hold an account's.
        return request.user.has_perm("recipients.delete_suppression") and obj is not None and _is_platforms(obj)

    def save_model(self, request: HttpRequest, obj: Suppression, form: Any, change: bool) -> None:  # noqa: FBT001
        if not change:
            obj.source = str(request.user)
        super().save_model(request, obj, form, change)


def _is_platforms(row: Suppression | None) -> bool:
    return row is None or row.account_id is None
