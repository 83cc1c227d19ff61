"""Pages of templates: the list, writing one, its review."""

from typing import Any

from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from templates_app.forms import SOURCE, VISUAL, TemplateForm, editor_for
from templates_app.http import SAMPLES, framed, rendered_line, rendered_text, sample_of
from templates_app.models import NAME_LENGTH, Template
from templates_app.services import templates

ROWS_A_PAGE = 20
REVIEWS_SHOWN = 20
FRAME_WIDTHS = ("desktop", "mobile")


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    search = request.GET.get("q", "").strip().replace("\0", "")
    status = request.GET.get("status", "")
    rows = Template.objects.for_account(request.account).without_bodies()
    if search:
        rows = rows.filter(name__icontains=search)
    if status in Template.Status.values:
        rows = rows.filter(status=status)
    page = Paginator(rows.order_by("-created_at", "-pk"), ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {
        "page_obj": page,
        "search": search,
        "status": status,
        "statuses": Template.Status.choices,
        "may_change": request.actor.may(Permission.WORK),
    }
    return render(request, "templates_app/index.html", context)


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def create(request: AccountRequest) -> HttpResponse:
    form = _form(request, {})
    if form.is_bound and form.is_valid():
        with reporting(request, _("The template is saved as a draft."), form=form):
            template = templates.create(form.draft(), by=request.actor, now=timezone.now())
        if not form.errors:
            return _after_save(request, template)
    return render(request, "templates_app/form.html", {"form": form})


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def edit(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    form = _form(request, _values(template) | {"seen": template.content_hash})
    if form.is_bound and form.is_valid():
        with reporting(request, _("The template is saved."), form=form):
            seen = form.cleaned_data["seen"]
            template = templates.edit(template, form.draft(), by=request.actor, now=timezone.now(), seen=seen)
        if not form.errors:
            return _after_save(request, template)
    return render(request, "templates_app/form.html", {"form": form, "template": template})


@require_GET
@member_required(Permission.WORK)
def copy(request: AccountRequest, pk: int) -> HttpResponse:
    """Offer a new template that begins as a copy."""
    template = _template(request, pk)
    name = template.name[: NAME_LENGTH - len("-copy")] + "-copy"
    form = _form(request, _values(template) | {"name": name})
    return render(request, "templates_app/form.html", {"form": form, "copied": template})


@require_GET
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    approved = template.approved
    is_approved = approved is not None and approved.content_hash == template.content_hash
    shows_approved = approved is not None and not is_approved and request.GET.get("version") == "approved"
    shown = approved if approved is not None and shows_approved else template
    sample = sample_of(request)
    width = request.GET.get("width", "")
    context = {
        "template": template,
        "approved": approved,
        "is_approved": is_approved,
        "shows_approved": shows_approved,
        "shown": shown,
        "subject": rendered_line(shown.subject, sample),
        "text": rendered_text(template.plain_text if shown is template else shown.text, sample),
        "reviews": template.reviews.all()[:REVIEWS_SHOWN],
        "may_change": request.actor.may(Permission.WORK),
        "samples": [(name, label) for name, (label, _values) in SAMPLES.items()],
        "sample": sample,
        "width": width if width in FRAME_WIDTHS else FRAME_WIDTHS[0],
    }
    return render(request, "templates_app/detail.html", context)


@require_GET
@member_required()
def preview(request: AccountRequest, pk: int) -> HttpResponse:
    return framed(_template(request, pk), sample_of(request))


@require_GET
@member_required()
def preview_approved(request: AccountRequest, pk: int) -> HttpResponse:
    version = _template(request, pk).approved
    if version is None:
        raise Http404
    return framed(version, sample_of(request))


@require_POST
@member_required(Permission.WORK)
def submit(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    _submit(request, template)
    return redirect("templates_app:detail", pk=pk)


@require_POST
@member_required(Permission.WORK)
def withdraw(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    with reporting(request, _("“%(name)s” is a draft again.") % {"name": template}):
        templates.withdraw(template, by=request.actor)
    return redirect("templates_app:detail", pk=pk)


@require_POST
@member_required(Permission.WORK)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    with reporting(request, _("“%(name)s” is deleted.") % {"name": template}):
        templates.delete(template, by=request.actor)
    return redirect("templates_app:index")


def _template(request: AccountRequest, pk: int) -> Template:
    return get_object_or_404(Template.objects.for_account(request.account).select_related("approved"), pk=pk)


def _values(template: Template) -> dict[str, str]:
    return {name: getattr(template, name) for name in ("name", "subject", "sender_name", "html", "text")}


def _form(request: HttpRequest, initial: dict[str, Any]) -> TemplateForm:
    """Return the form as it was sent; or to fill in, also where only the other editor was asked for."""
    if request.method == "GET":
        return TemplateForm(initial=initial, editor=editor_for(initial.get("html", "")))
    wanted = request.POST.get("show")
    if wanted in {VISUAL, SOURCE}:
        return TemplateForm(initial=request.POST.dict(), editor=wanted)
    return TemplateForm(request.POST, editor=request.POST.get("editor", VISUAL))


def _submit(request: AccountRequest, template: Template) -> None:
    with reporting(request, _("“%(name)s” waits for review. You will get a mail.") % {"name": template}):
        templates.submit(template, by=request.actor, now=timezone.now())


def _after_save(request: AccountRequest, template: Template) -> HttpResponse:
    """Go to the template's page, and submit it first where that button was pressed."""
    if "submit" in request.POST and template.may_be_submitted:
        _submit(request, template)
    return redirect("templates_app:detail", pk=template.pk)
