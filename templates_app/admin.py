"""The review desk: templates that wait, each with what a reviewer needs to decide."""

from collections.abc import Iterator
from typing import Any

from django.contrib import admin, messages
from django.contrib.admin.views.main import ChangeList
from django.db.models import F, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils import timezone
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.http import client_ip
from accounts.models import User
from mailpush.lib.refusals import Refusal
from templates_app import review
from templates_app.forms import DecisionForm
from templates_app.http import SAMPLES, framed, rendered_line, rendered_text, sample_of
from templates_app.models import Template
from templates_app.services import reviews


class WaitingFilter(admin.SimpleListFilter):
    """Shows what waits for review unless asked for more."""

    title = gettext_lazy("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        return [*Template.Status.choices, ("all", _("All"))]

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        for value, label in self.lookup_choices:
            selected = (self.value() or Template.Status.PENDING) == value
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": selected, "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Template]) -> QuerySet[Template]:  # noqa: ARG002
        wanted = self.value() or Template.Status.PENDING
        return queryset if wanted == "all" else queryset.filter(status=wanted)


@admin.register(Template)
class TemplateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """Whoever is staff reviews; nobody edits a customer's template here."""

    list_display = ["name", "account", "subject", "created_by", "status", "waiting", "used_variables"]
    list_filter = [WaitingFilter]
    list_select_related = ["account", "created_by"]
    list_per_page = 50
    search_fields = ["name", "account__name", "subject"]
    ordering = [F("submitted_at").asc(nulls_last=True), "pk"]
    show_full_result_count = False
    actions = None

    def has_module_permission(self, request: HttpRequest) -> bool:
        return self.has_view_permission(request)

    def has_view_permission(self, request: HttpRequest, obj: Template | None = None) -> bool:  # noqa: ARG002
        return bool(request.user.is_active and request.user.is_staff)

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_change_permission(self, request: HttpRequest, obj: Template | None = None) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Template | None = None) -> bool:  # noqa: ARG002
        return False

    @admin.display(description=gettext_lazy("waiting for"), ordering="submitted_at")
    def waiting(self, template: Template) -> str:
        is_pending = template.status == Template.Status.PENDING
        return timesince(template.submitted_at) if is_pending and template.submitted_at else "–"

    @admin.display(description=gettext_lazy("variables"))
    def used_variables(self, template: Template) -> str:
        return ", ".join(template.variables) or "–"

    def get_queryset(self, request: HttpRequest) -> QuerySet[Template]:  # noqa: ARG002
        return Template.objects.without_bodies()

    def get_urls(self) -> list[URLPattern]:
        view = self.admin_site.admin_view
        own = [
            path("<int:pk>/preview/", view(self.preview_view), name="templates_app_template_preview"),
            path("<int:pk>/approved/", view(self.approved_view), name="templates_app_template_approved"),
            path("<int:pk>/decide/", view(self.decide_view), name="templates_app_template_decide"),
        ]
        return own + super().get_urls()

    def change_view(
        self, request: HttpRequest, object_id: str, form_url: str = "", extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """Show the template to decide on instead of a form to edit it."""
        del form_url, extra_context
        if not object_id.isdecimal():
            raise Http404
        shown = Template.objects.select_related("account", "created_by", "approved")
        template = get_object_or_404(shown, pk=object_id)
        context = {**self.admin_site.each_context(request), "opts": self.opts, **_page(request, template)}
        return TemplateResponse(request, "admin/templates_app/template/review.html", context)

    def preview_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        return framed(get_object_or_404(Template, pk=pk), sample_of(request))

    def approved_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        version = get_object_or_404(Template, pk=pk).approved
        if version is None:
            raise Http404
        return framed(version, sample_of(request))

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        template = get_object_or_404(Template, pk=pk)
        form = DecisionForm(request.POST)
        if request.method == "POST" and form.is_valid():
            try:
                done = _decide(request, template, form)
            except Refusal as refusal:
                messages.error(request, refusal.message)
            else:
                messages.success(request, done)
                return redirect("admin:templates_app_template_changelist")
        elif form.errors.get("reason"):
            messages.error(request, " ".join(map(str, form.errors["reason"])))
        return redirect("admin:templates_app_template_change", pk)


def _page(request: HttpRequest, template: Template) -> dict[str, Any]:
    assert isinstance(request.user, User)
    sample = sample_of(request)
    is_pending = template.status == Template.Status.PENDING
    return {
        "title": template.name,
        "template": template,
        "subject": rendered_line(template.subject, sample),
        "text": rendered_text(template.plain_text, sample),
        "samples": [(name, label) for name, (label, _values) in SAMPLES.items()],
        "sample": sample,
        "form": DecisionForm(initial={"content_hash": template.content_hash}),
        "is_pending": is_pending,
        "may_decide": is_pending and reviews.may_review(template, request.user),
        "hints": review.hints(template),
        "differences": review.differences(template),
        "reviews": template.reviews.select_related("reviewer"),
    }


def _decide(request: HttpRequest, template: Template, form: DecisionForm) -> str:
    """Do what the pressed button says; return the sentence about it."""
    assert isinstance(request.user, User)
    decision = {
        "content_hash": form.cleaned_data["content_hash"],
        "reviewer": request.user,
        "now": timezone.now(),
        "ip": client_ip(request),
    }
    if "approve" in request.POST:
        reviews.approve(template, **decision)
        return _("“%(name)s” is approved; its author is told by mail.") % {"name": template}
    reviews.reject(template, reason=form.cleaned_data["reason"], **decision)
    return _("“%(name)s” is rejected; its author is told by mail.") % {"name": template}
