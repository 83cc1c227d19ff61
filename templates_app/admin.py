"""The review desk: templates that wait, each with what a reviewer needs to decide."""

import difflib
import re
from typing import Any
from urllib.parse import urlsplit

from django.contrib import admin, messages
from django.db.models import F, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path, reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from accounts.models import User
from mailpush.lib.refusals import Refusal
from mailpush.mail.compose import html_to_text
from templates_app.forms import DecisionForm
from templates_app.http import preview
from templates_app.models import Template
from templates_app.services import reviews

GMAIL_CLIPS_AT = 102 * 1024  # bytes
LINK = re.compile(r"""href\s*=\s*["'](https?://[^"']+)["']""", re.IGNORECASE)
IMAGE = re.compile(r"<img\b[^>]*>", re.IGNORECASE)


class WaitingFilter(admin.SimpleListFilter):
    """Shows what waits for review unless asked for more."""

    title = gettext_lazy("status")
    parameter_name = "status"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:  # noqa: ARG002
        return [("all", _("All")), *Template.Status.choices]

    def choices(self, changelist: Any) -> Any:
        for value, label in self.lookup_choices:
            selected = (self.value() or Template.Status.PENDING) == value
            query = changelist.get_query_string({self.parameter_name: value})
            yield {"selected": selected, "query_string": query, "display": label}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Template]) -> QuerySet[Template]:  # noqa: ARG002
        wanted = self.value() or Template.Status.PENDING
        return queryset if wanted == "all" else queryset.filter(status=wanted)


@admin.register(Template)
class TemplateAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    list_display = ["name", "account", "subject", "created_by", "status", "submitted_at"]
    list_filter = [WaitingFilter]
    list_select_related = ["account", "created_by"]
    search_fields = ["name", "account__name", "subject"]
    ordering = [F("submitted_at").asc(nulls_last=True)]
    show_full_result_count = False

    def has_add_permission(self, request: HttpRequest) -> bool:  # noqa: ARG002
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Template | None = None) -> bool:  # noqa: ARG002
        return False

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
        template = get_object_or_404(Template.objects.select_related("account", "created_by", "approved"), pk=object_id)
        context = {
            **self.admin_site.each_context(request),
            "opts": self.opts,
            "title": template.name,
            "template": template,
            "form": DecisionForm(initial={"content_hash": template.content_hash}),
            "hints": _hints(template),
            "difference": _difference(template),
            "text": template.text or html_to_text(template.html),
            "reviews": template.reviews.select_related("reviewer"),
        }
        return TemplateResponse(request, "admin/templates_app/template/review.html", context)

    def preview_view(self, request: HttpRequest, pk: int) -> HttpResponse:  # noqa: ARG002
        template = get_object_or_404(Template, pk=pk)
        return preview(template.html, template.text)

    def approved_view(self, request: HttpRequest, pk: int) -> HttpResponse:  # noqa: ARG002
        version = get_object_or_404(Template.objects.exclude(approved=None), pk=pk).approved
        assert version
        return preview(version.html, version.text)

    def decide_view(self, request: HttpRequest, pk: int) -> HttpResponse:
        template = get_object_or_404(Template, pk=pk)
        form = DecisionForm(request.POST)
        if request.method != "POST" or not form.is_valid():
            return redirect("admin:templates_app_template_change", pk)
        assert isinstance(request.user, User)
        decision = {"content_hash": form.cleaned_data["content_hash"], "reviewer": request.user, "now": timezone.now()}
        try:
            if "approve" in request.POST:
                reviews.approve(template, **decision)
            else:
                reviews.reject(template, reason=form.cleaned_data["reason"], **decision)
        except Refusal as refusal:
            messages.error(request, refusal.message)
            return redirect("admin:templates_app_template_change", pk)
        messages.success(request, _("Decided on “%(name)s”; its author is told by mail.") % {"name": template})
        return redirect(reverse("admin:templates_app_template_changelist"))


def _hints(template: Template) -> list[str]:
    """Return what a reviewer should look at."""
    hosts = sorted({urlsplit(link).hostname or "" for link in LINK.findall(template.html)} - {""})
    hints = [_("Links lead to: %(hosts)s") % {"hosts": ", ".join(hosts)}] if hosts else []
    images = IMAGE.findall(template.html)
    if without := sum("alt=" not in image.lower() for image in images):
        hints.append(_("Images without a description: %(count)d") % {"count": without})
    if len(template.html.encode()) > GMAIL_CLIPS_AT:
        hints.append(_("Larger than 102 KB: Gmail cuts it off."))
    if images and len(html_to_text(template.html)) < len(images) * 40:
        hints.append(_("Little text for its images: filters dislike that."))
    return hints


def _difference(template: Template) -> list[tuple[str, str]]:
    """Return the lines that differ from the approved version, each with "+" or "-"."""
    version = template.approved
    if version is None or version.content_hash == template.content_hash:
        return []
    before = [version.subject, version.sender_name, *version.text.splitlines()]
    after = [template.subject, template.sender_name]
    after += (template.text or html_to_text(template.html)).splitlines()
    return [(line[0], line[2:]) for line in difflib.ndiff(before, after) if line[0] in "+-"]
