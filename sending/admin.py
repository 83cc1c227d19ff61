"""Operations: queues, batches and messages to look at; held-up lanes to resume, batches to stop."""

from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.admin import ReadOnly
from accounts.http import client_ip
from accounts.models import User
from mailpush.lib.refusals import Refusal
from sending import reports
from sending.models import Batch, Chunk, Message
from sending.models.message import MessageQuerySet
from sending.services import batches, lanes

MOST_COUNTED = 10_000  # rows; counting all of a big table takes minutes
MOST_QUEUES = 500  # on the page, the most overdue first


class BoundedPaginator(Paginator):  # type: ignore[type-arg] # generic for the type checker alone
    """Counts no further than anybody pages."""

    @cached_property
    def count(self) -> int:
        rows: Any = self.object_list
        return int(rows.order_by()[:MOST_COUNTED].count())


@admin.register(Chunk)
class QueueAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """What waits in each lane. Chunks come and go within seconds, so the list shows lanes, not chunks."""

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("sending.change_lane")

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        if not self.has_view_permission(request):
            raise PermissionDenied
        if request.method == "POST":
            return self._resume(request)
        found = reports.queues(now=timezone.now())
        context = {
            **self.admin_site.each_context(request),
            **(extra_context or {}),
            "title": _("Queues"),
            "opts": self.opts,
            "queues": found[:MOST_QUEUES],
            "left_out": max(len(found) - MOST_QUEUES, 0),
            "may_operate": self.has_operate_permission(request),
        }
        return TemplateResponse(request, "admin/sending/queues.html", context)

    def _resume(self, request: HttpRequest) -> HttpResponse:
        if not self.has_operate_permission(request):
            raise PermissionDenied
        assert isinstance(request.user, User)  # the admin lets nobody else in
        stream, site = request.POST.get("stream", ""), request.POST.get("site", "")
        if lanes.resume(stream=stream, site=site, operator=request.user, ip=client_ip(request), now=timezone.now()):
            messages.success(request, _("The lane is worked again."))
        else:
            messages.info(request, _("The lane was not suspended any more."))
        return HttpResponseRedirect(request.path)


@admin.register(Batch)
class BatchAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "account", "list_name", "template_name", "status", "total", "waiting", "created_at"]
    list_filter = ["status", "created_at"]
    list_select_related = ["account"]
    search_fields = ["list_name", "template_name", "account__name", "sender__address"]
    ordering = ["-created_at"]
    exclude = ["content", "order_key", "last_recipient", "end_recipient", "claimed_until"]
    show_full_result_count = False
    actions = ["pause", "resume", "cancel"]

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("sending.change_batch")

    @admin.action(description=_("Pause the selected batches"), permissions=["operate"])
    def pause(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        self._each(request, queryset, lambda batch, by: batches.pause(batch, by=by))

    @admin.action(description=_("Resume the selected batches"), permissions=["operate"])
    def resume(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        now = timezone.now()
        self._each(request, queryset, lambda batch, by: batches.resume(batch, by=by, now=now))

    @admin.action(
        description=_("Cancel the selected batches: what has not left is never sent"), permissions=["operate"]
    )
    def cancel(self, request: HttpRequest, queryset: QuerySet[Batch]) -> None:
        now = timezone.now()
        self._each(request, queryset, lambda batch, by: batches.cancel(batch, by=by, now=now))

    def _each(self, request: HttpRequest, queryset: QuerySet[Batch], deed: Any) -> None:
        """Do it to each batch as its account's operator; tell of those that have moved on."""
        assert isinstance(request.user, User)
        done = 0
        for batch in queryset.select_related("account"):
            try:
                deed(batch, Actor.operator(request.user, batch.account, ip=client_ip(request)))
                done += 1
            except Refusal as refusal:
                self.message_user(request, f"{batch}: {refusal.message}", messages.WARNING)
        text = ngettext("%(count)s batch is changed.", "%(count)s batches are changed.", done)
        self.message_user(request, text % {"count": done})


@admin.register(Message)
class MessageAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "recipient", "account", "status", "attempts", "next_attempt_at", "created_at"]
    list_filter = ["status"]
    list_select_related = ["account"]
    search_fields = ["recipient"]
    search_help_text = _("A message's id, or the beginning of a recipient's address.")
    ordering = ["-pk"]
    exclude = ["content", "variables"]  # personal data that nobody needs for operations
    show_full_result_count = False
    paginator = BoundedPaginator

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Message],
        search_term: str,
    ) -> tuple[QuerySet[Message], bool]:
        """Search by what has an index."""
        term = search_term.strip()
        assert isinstance(queryset, MessageQuerySet)
        if term.isdecimal():
            return queryset.filter(pk=int(term)), False
        return (queryset.to_recipients(term) if term else queryset), False
