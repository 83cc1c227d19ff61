"""Domains for operators: look, hold, release."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.admin import ReadOnly
from accounts.http import client_ip
from accounts.models import User
from domains.models import DkimKey, Domain, RecordCheck
from domains.services import domains


class RecordCheckInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = RecordCheck
    fields = ["kind", "outcome", "found", "reason", "detail", "checked_at"]
    extra = 0


class DkimKeyInline(ReadOnly, admin.TabularInline):  # type: ignore[type-arg]
    model = DkimKey
    fields = ["selector", "public_record", "created_at", "retired_at"]  # never the private key
    extra = 0


@admin.register(Domain)
class DomainAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "account", "status", "is_held", "checked_at", "failing_since", "deleted_at"]
    list_filter = ["status", "is_held", "created_at"]
    list_select_related = ["account"]
    search_fields = ["name", "account__name", "account__memberships__user__email"]
    ordering = ["-created_at"]
    exclude = ["checking_until"]
    inlines = [RecordCheckInline, DkimKeyInline]
    actions = ["hold", "release"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("domains.change_domain")

    @admin.action(description=_("Suspend the selected domains until they are released"), permissions=["operate"])
    def hold(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        count = sum(domains.hold(domain, by=_operator(request, domain)) for domain in queryset)
        self.message_user(
            request,
            ngettext("%(count)s domain is suspended.", "%(count)s domains are suspended.", count) % {"count": count},
        )

    @admin.action(description=_("Let the selected suspended domains send again"), permissions=["operate"])
    def release(self, request: HttpRequest, queryset: QuerySet[Domain]) -> None:
        now = timezone.now()
        count = sum(domains.release(domain, by=_operator(request, domain), now=now) for domain in queryset)
        self.message_user(
            request,
            ngettext("%(count)s domain may send again.", "%(count)s domains may send again.", count) % {"count": count},
        )


def _operator(request: HttpRequest, domain: Domain) -> Actor:
    assert isinstance(request.user, User)  # the admin lets nobody else in
    return Actor.operator(request.user, domain.account, ip=client_ip(request))
