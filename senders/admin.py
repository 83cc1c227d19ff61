"""Sender addresses and tags for operators: look, freeze, unfreeze."""

from django.contrib import admin
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.admin import ReadOnly
from accounts.http import client_ip
from accounts.models import User
from senders.models import Sender, Tag
from senders.services import senders


@admin.register(Sender)
class SenderAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["address", "account", "stream", "reply_to", "is_frozen", "created_at", "deleted_at"]
    list_filter = ["stream", "is_frozen", "created_at"]
    list_select_related = ["account"]
    search_fields = ["address", "reply_to", "account__name"]
    ordering = ["-created_at"]
    exclude = ["smtp_password_hash"]
    actions = ["freeze", "unfreeze"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("senders.change_sender")

    @admin.action(description=_("Freeze the selected addresses: they may no longer send"), permissions=["operate"])
    def freeze(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        count = sum(senders.freeze(sender, by=_operator(request, sender)) for sender in queryset)
        self.message_user(
            request,
            ngettext("%(count)s address is frozen.", "%(count)s addresses are frozen.", count) % {"count": count},
        )

    @admin.action(description=_("Let the selected frozen addresses send again"), permissions=["operate"])
    def unfreeze(self, request: HttpRequest, queryset: QuerySet[Sender]) -> None:
        count = sum(senders.unfreeze(sender, by=_operator(request, sender)) for sender in queryset)
        self.message_user(
            request,
            ngettext("%(count)s address may send again.", "%(count)s addresses may send again.", count)
            % {"count": count},
        )


@admin.register(Tag)
class TagAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "account", "created_at", "deleted_at"]
    list_filter = ["created_at"]
    list_select_related = ["account"]
    search_fields = ["name", "account__name"]
    ordering = ["-created_at"]


def _operator(request: HttpRequest, sender: Sender) -> Actor:
    assert isinstance(request.user, User)  # the admin lets nobody else in
    return Actor.operator(request.user, sender.account, ip=client_ip(request))
