"""Operations: queues, batches and messages to look at, lanes to resume, batches to stop, providers to edit."""

from functools import cached_property
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.widgets import AdminTextareaWidget, AdminTextInputWidget
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import PermissionDenied
from django.core.paginator import Paginator
from django.db import models
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.response import TemplateResponse
from django.urls import path, reverse
from django.utils import timezone
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from accounts.actors import Actor
from accounts.admin import ReadOnly
from accounts.http import client_ip
from accounts.models import User
from mailpush.lib.refusals import Refusal
from sending import reports
from sending.delivery.providers import is_shipped
from sending.models import Batch, Chunk, Message, Provider, ReplyRule, Returned
from sending.models.message import MessageQuerySet
from sending.models.provider import EVERYWHERE
from sending.services import batches, lanes, providers, returned

MOST_COUNTED = 10_000  # rows; counting all of a big table takes minutes
LONGEST_MAIL = 100_000  # bytes shown of a returned mail
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
        if "site" in request.GET:
            return self._lane(request, request.GET.get("stream", ""), request.GET["site"])
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

    def _lane(self, request: HttpRequest, stream: str, site: str) -> HttpResponse:
        queue = reports.queue_of(stream, site, now=timezone.now())
        if queue is None:
            raise Http404
        provider = Provider.objects.filter(name=site).first() or Provider.objects.filter(name=EVERYWHERE).first()
        context = {
            **self.admin_site.each_context(request),
            "title": f"{queue.title} · {queue.stream_label}",
            "opts": self.opts,
            "queue": queue,
            "provider_pk": provider.pk
            if site and provider and request.user.has_perm("sending.view_provider")
            else None,
            "replies": reports.last_replies(stream, site),
            "may_operate": self.has_operate_permission(request),
        }
        return TemplateResponse(request, "admin/sending/lane.html", context)

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


class Audited(admin.ModelAdmin):  # type: ignore[type-arg]
    """Rows that operators edit: each edit stands in the audit log with the values before and after."""

    def save_related(self, request: HttpRequest, form: Any, formsets: Any, change: Any) -> None:
        super().save_related(request, form, formsets, change)
        changes = _changes(form)
        for each in (each for formset in formsets for each in formset.forms if each.has_changed()):
            changes[str(each.instance)] = _changes(each)
        if changes:
            self._note(request, form.instance, "changed" if change else "added", changes=changes)

    def delete_model(self, request: HttpRequest, obj: Any) -> None:
        self._note(request, obj, "deleted")
        super().delete_model(request, obj)

    def get_actions(self, request: HttpRequest) -> dict[str, Any]:
        """Offer no deletion of many: what is shipped can only be switched off."""
        return {name: action for name, action in super().get_actions(request).items() if name != "delete_selected"}

    def _note(self, request: HttpRequest, row: Any, deed: str, **details: Any) -> None:
        assert isinstance(request.user, User)
        providers.note(row, deed, operator=request.user, ip=client_ip(request), now=timezone.now(), **details)


def _changes(form: Any) -> dict[str, Any]:
    """Return the edited fields with their values before and after."""
    pairs = {name: [_plain(form.initial.get(name)), _plain(form.cleaned_data.get(name))] for name in form.changed_data}
    return {name: pair for name, pair in pairs.items() if pair[0] != pair[1]}


def _plain(value: Any) -> Any:
    """Return a value as JSON keeps it."""
    if value is None or isinstance(value, bool | int | str):
        return value
    return [str(each) for each in value] if isinstance(value, list) else str(value)


WIDGETS: dict[Any, Any] = {
    models.TextField: {"widget": AdminTextareaWidget(attrs={"rows": 2})},
    models.CharField: {"widget": AdminTextInputWidget(attrs={"class": "vLargeTextField"})},
    ArrayField: {"widget": AdminTextInputWidget(attrs={"class": "vLargeTextField"})},
}


class ReplyRuleInline(admin.StackedInline):  # type: ignore[type-arg]
    model = ReplyRule
    fields = ["pattern", "action", "seconds", "reason", ("position", "enabled")]
    formfield_overrides = WIDGETS
    extra = 0
    can_delete = False


@admin.register(Provider)
class ProviderAdmin(Audited):
    """What each mailbox provider bears, and what its replies mean."""

    list_display = ["__str__", "name", "connections", "mails_per_connection", "mails_per_minute", "tls", "enabled"]
    search_fields = ["name", "title"]
    ordering = ["name"]
    fields = [
        "title",
        "name",
        "mx_patterns",
        "connections",
        "mails_per_connection",
        "mails_per_minute",
        "tls",
        "enabled",
        "reason",
    ]
    formfield_overrides = WIDGETS
    inlines = [ReplyRuleInline]

    def get_readonly_fields(self, request: HttpRequest, obj: Provider | None = None) -> list[str]:  # noqa: ARG002
        if obj is None:
            return []
        return ["name"] if obj.name != EVERYWHERE else ["name", "mx_patterns", "enabled"]

    def has_delete_permission(self, request: HttpRequest, obj: Provider | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and is_shipped(obj.name))

    def get_urls(self) -> list[Any]:
        restore = self.admin_site.admin_view(self.restore)
        return [path("<int:pk>/restore/", restore, name="sending_provider_restore"), *super().get_urls()]

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        provider = self.get_object(request, object_id)
        may_restore = provider is not None and is_shipped(provider.name) and self.has_change_permission(request)
        return super().change_view(request, object_id, form_url, {**(extra_context or {}), "may_restore": may_restore})

    def restore(self, request: HttpRequest, pk: int) -> HttpResponse:
        if not self.has_change_permission(request):
            raise PermissionDenied
        assert isinstance(request.user, User)
        provider = get_object_or_404(Provider, pk=pk)
        if request.method != "POST":
            context = {"title": _("Restore shipped values"), "opts": self.opts, "provider": provider}
            each = self.admin_site.each_context(request)
            return TemplateResponse(request, "admin/sending/provider/restore.html", each | context)
        try:
            providers.restore(provider, operator=request.user, ip=client_ip(request), now=timezone.now())
            messages.success(request, _("The shipped values are back."))
        except providers.NotShipped as refusal:
            messages.error(request, refusal.message)
        return HttpResponseRedirect(reverse("admin:sending_provider_change", args=[pk]))


@admin.register(ReplyRule)
class ReplyRuleAdmin(Audited):
    """What replies mean for the pace: of one provider, or everywhere."""

    list_display = ["pattern", "provider", "action", "seconds", "meaning", "position", "enabled"]
    empty_value_display = _("everywhere")
    list_filter = ["action", "enabled", "provider"]
    list_select_related = ["provider"]
    search_fields = ["pattern", "reason"]
    fields = ["provider", "pattern", "action", "seconds", "reason", "position", "enabled"]
    formfield_overrides = WIDGETS

    @admin.display(description=_("reason"))
    def meaning(self, rule: ReplyRule) -> str:
        return gettext(rule.reason)

    def has_delete_permission(self, request: HttpRequest, obj: ReplyRule | None = None) -> bool:
        return super().has_delete_permission(request, obj) and not (obj and obj.key)


@admin.register(Batch)
class BatchAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["id", "account", "list_name", "template_name", "status", "total", "waiting", "created_at"]
    list_filter = ["status", "created_at"]
    list_select_related = ["account"]
    search_fields = ["list_name", "template_name", "account__name", "sender__address"]
    ordering = ["-created_at"]
    exclude = ["content", "order_key", "claimed_until"]
    show_full_result_count = False
    actions = ["pause", "resume", "cancel"]

    @admin.display(description=_("waiting"))
    def waiting(self, batch: Batch) -> int:
        return batch.waiting

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


@admin.register(Returned)
class ReturnedAdmin(ReadOnly, admin.ModelAdmin):  # type: ignore[type-arg]
    """What came back, also what no account can be told of; read again after the reader has learnt something."""

    list_display = ["id", "received_at", "kind", "reason", "has_effect", "mailbox", "rcpt_to", "mail_from", "account"]
    list_filter = ["kind", "mailbox", "has_effect", ("account", admin.EmptyFieldListFilter)]
    list_select_related = ["account"]
    search_fields = ["rcpt_to"]
    search_help_text = _("An id, or the whole address it came to.")
    ordering = ["-pk"]
    exclude = ["mime", "failure"]
    readonly_fields = ["reason", "mail"]
    show_full_result_count = False
    paginator = BoundedPaginator
    actions = ["read_again"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Returned]:
        return super().get_queryset(request).defer("mime")

    def has_operate_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perm("sending.change_returned")

    def get_search_results(
        self,
        request: HttpRequest,  # noqa: ARG002 - Django's signature
        queryset: QuerySet[Returned],
        search_term: str,
    ) -> tuple[QuerySet[Returned], bool]:
        term = search_term.strip()
        if term.isdecimal():
            return queryset.filter(pk=int(term)), False
        return (queryset.filter(rcpt_to__iexact=term) if term else queryset), False

    @admin.display(description=_("reason"), ordering="failure")
    def reason(self, row: Returned) -> str:
        return str(reports.FAILURES.get(row.failure, row.failure))  # type: ignore[call-overload] # its keys are strings

    @admin.display(description=_("the mail as it came"))
    def mail(self, row: Returned) -> str:
        return bytes(row.mime[:LONGEST_MAIL]).decode("utf-8", "replace")

    @admin.action(description=_("Read the selected mails again"), permissions=["operate"])
    def read_again(self, request: HttpRequest, queryset: QuerySet[Returned]) -> None:
        count = returned.read_again(queryset)
        text = ngettext("%(count)s mail is read again.", "%(count)s mails are read again.", count)
        self.message_user(request, text % {"count": count})
