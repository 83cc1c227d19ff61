"""Operations: users, accounts and what they did."""

from typing import Any

from allauth.account import admin as allauth_account_admin
from allauth.mfa import admin as allauth_mfa_admin
from django.contrib import admin
from django.db.models import QuerySet
from django.forms import ModelForm
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.http import client_ip
from accounts.models import AccessKey, Account, AuditEntry, Membership, User
from accounts.services import accounts, profile
from mailpush.lib.column_names import name_columns

admin.site.site_title = "mailpush"
admin.site.site_header = _("mailpush review desk and operations")
admin.site.index_title = _("Review desk and operations")
name_columns()

# Whoever adds a proved address or a second factor by hand can become anybody, and no audit log would say so.
admin.site.unregister([allauth_account_admin.EmailAddress, allauth_mfa_admin.Authenticator])


class ReadOnly:
    """To be looked at: rows are written by services alone."""

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:  # noqa: ARG002
        return False


class MembershipInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = Membership
    fields = ["account", "user", "role", "created_at"]
    extra = 0


@admin.register(User)
class UserAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["email", "name", "is_active", "is_staff", "date_joined"]
    list_filter = ["is_active", "is_staff", "date_joined"]
    search_fields = ["email", "name"]
    ordering = ["email"]
    fields = ["email", "name", "is_active", "is_staff", "is_superuser", "groups", "last_login", "date_joined"]
    readonly_fields = ["email", "name", "last_login", "date_joined"]
    filter_horizontal = ["groups"]
    inlines = [MembershipInline]
    actions = ["remove_second_factor"]

    @admin.action(description=_("Remove the second factor of the selected users"), permissions=["change"])
    def remove_second_factor(self, request: HttpRequest, queryset: QuerySet[User]) -> None:
        operator, ip = _staff(request), client_ip(request)
        count = sum(profile.remove_second_factor(user, operator=operator, ip=ip) for user in queryset)
        self.message_user(request, _("%(count)s users log in by password alone now.") % {"count": count})

    def get_readonly_fields(self, request: HttpRequest, obj: User | None = None) -> list[str]:  # noqa: ARG002
        """Nobody gives rights they lack, to themselves least of all."""
        rights = [] if _staff(request).is_superuser else ["is_staff", "is_superuser", "groups"]
        return [*self.readonly_fields, *rights]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - by sign-up or create_account
        return False

    def has_delete_permission(self, request: HttpRequest, obj: User | None = None) -> bool:  # noqa: ARG002
        return False  # an account could lose its last owner; make the user inactive instead


@admin.register(Account)
class AccountAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "id", "is_active", "daily_quota", "monthly_quota", "created_at"]
    list_filter = ["is_active", "created_at"]
    search_fields = ["name", "memberships__user__email"]
    ordering = ["-created_at"]
    fields = ["name", "is_active", "daily_quota", "monthly_quota", "requests_a_minute", "time_zone", "created_at"]
    readonly_fields = ["name", "is_active", "time_zone", "created_at"]
    inlines = [MembershipInline]
    actions = ["suspend", "resume"]

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002 - by sign-up or create_account
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Account | None = None) -> bool:  # noqa: ARG002
        return False

    def save_model(self, request: HttpRequest, obj: Account, form: "ModelForm[Account]", change: bool) -> None:  # noqa: ARG002, FBT001
        accounts.set_quota(
            by=_operator(request, obj),
            daily=obj.daily_quota,
            monthly=obj.monthly_quota,
            requests=obj.requests_a_minute,
        )

    @admin.action(description=_("Suspend the selected accounts: they may no longer send"), permissions=["change"])
    def suspend(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        count = sum(accounts.suspend(by=_operator(request, account)) for account in queryset)
        self.message_user(request, _("%(count)s accounts are suspended.") % {"count": count})

    @admin.action(description=_("Let the selected accounts send again"), permissions=["change"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Account]) -> None:
        count = sum(accounts.resume(by=_operator(request, account)) for account in queryset)
        self.message_user(request, _("%(count)s accounts may send again.") % {"count": count})


@admin.register(AccessKey)
class AccessKeyAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["key_id", "account", "label", "role", "is_active", "created_at", "last_used_at"]
    list_filter = ["is_active", "role"]
    list_select_related = ["account"]
    search_fields = ["key_id", "label", "account__name"]
    fields = [
        *("key_id", "account", "label", "role", "scopes", "networks"),
        *("is_active", "created_by", "created_at", "last_used_at"),
    ]


@admin.register(AuditEntry)
class AuditEntryAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["at", "account", "actor", "action", "target", "ip"]
    list_filter = ["at"]
    list_select_related = ["account"]
    search_fields = ["actor", "action", "target", "account__name"]
    date_hierarchy = "at"
    show_full_result_count = False  # counting every entry ever written is too slow


def _operator(request: HttpRequest, account: Account) -> Actor:
    return Actor.operator(_staff(request), account, ip=client_ip(request))


def _staff(request: HttpRequest) -> User:
    assert isinstance(request.user, User)  # the middleware lets nobody else in
    return request.user
