"""Pages of templates: the list, writing one, its review."""

from django.core.paginator import Paginator
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from mailpush.mail.variables import VARIABLES
from templates_app.forms import TemplateForm
from templates_app.http import preview
from templates_app.models import Template
from templates_app.services import templates

ROWS_A_PAGE = 20


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    search = request.GET.get("q", "").strip()
    status = request.GET.get("status", "")
    rows = Template.objects.filter(account=request.account)
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
    form = TemplateForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The template is saved as a draft."), form=form):
            template = templates.create(form.draft(), by=request.actor, now=timezone.now())
            return _after_save(request, template)
    return render(request, "templates_app/form.html", {"form": form, "variables": VARIABLES})


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def edit(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    form = TemplateForm(request.POST or None, initial=_values(template))
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The template is saved."), form=form):
            template = templates.edit(template, form.draft(), by=request.actor, now=timezone.now())
            return _after_save(request, template)
    return render(request, "templates_app/form.html", {"form": form, "template": template, "variables": VARIABLES})


@require_GET
@member_required(Permission.WORK)
def copy(request: AccountRequest, pk: int) -> HttpResponse:
    """Offer a new template that begins as a copy."""
    template = _template(request, pk)
    form = TemplateForm(initial=_values(template) | {"name": f"{template.name}-copy"[:64]})
    return render(request, "templates_app/form.html", {"form": form, "variables": VARIABLES, "is_copy": True})


@require_GET
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    approved = template.approved
    context = {
        "template": template,
        "reviews": template.reviews.all()[:20],
        "approved_is_older": approved is not None and approved.content_hash != template.content_hash,
        "may_change": request.actor.may(Permission.WORK),
        "width": "mobile" if request.GET.get("width") == "mobile" else "desktop",
    }
    return render(request, "templates_app/detail.html", context)


@require_GET
@member_required()
def preview_draft(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    return preview(template.html, template.text)


@require_GET
@member_required()
def preview_approved(request: AccountRequest, pk: int) -> HttpResponse:
    version = _template(request, pk).approved
    if version is None:
        raise Http404
    return preview(version.html, version.text)


@require_POST
@member_required(Permission.WORK)
def submit(request: AccountRequest, pk: int) -> HttpResponse:
    template = _template(request, pk)
    with reporting(request, _("“%(name)s” waits for review. You will get a mail.") % {"name": template}):
        templates.submit(template, by=request.actor, now=timezone.now())
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
    return get_object_or_404(Template.objects.filter(account=request.account).select_related("approved"), pk=pk)


def _values(template: Template) -> dict[str, str]:
    return {name: getattr(template, name) for name in ("name", "subject", "sender_name", "html", "text")}


def _after_save(request: AccountRequest, template: Template) -> HttpResponse:
    """Go to the template's page, and submit it first where that button was pressed."""
    if "submit" in request.POST and template.status in {Template.Status.DRAFT, Template.Status.REJECTED}:
        templates.submit(template, by=request.actor, now=timezone.now())
    return redirect("templates_app:detail", pk=template.pk)
