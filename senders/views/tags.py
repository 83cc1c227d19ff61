"""The page of tags."""

from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from senders.forms import TagForm
from senders.models import Tag
from senders.services import tags

ROWS_A_PAGE = 20


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    return _page(request, TagForm())


@require_POST
@member_required(Permission.WORK)
def create(request: AccountRequest) -> HttpResponse:
    form = TagForm(request.POST)
    if form.is_valid():
        with reporting(request, _("The tag is ready."), form=form):
            tags.create(form.cleaned_data["name"], by=request.actor, now=timezone.now())
    return _page(request, form) if form.errors else redirect("senders:tags")


@require_POST
@member_required(Permission.WORK)
def rename(request: AccountRequest, pk: int) -> HttpResponse:
    tag = _tag(request, pk)
    with reporting(request, _("The tag is renamed.")):
        tags.rename(tag, request.POST.get("name", ""), by=request.actor)
    return redirect("senders:tags")


@require_POST
@member_required(Permission.WORK)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    tag = _tag(request, pk)
    with reporting(request, _("The tag is deleted.")):
        tags.delete(tag, by=request.actor, now=timezone.now())
    return redirect("senders:tags")


def _tag(request: AccountRequest, pk: int) -> Tag:
    return get_object_or_404(Tag.objects.for_account(request.account), pk=pk)


def _page(request: AccountRequest, form: TagForm) -> HttpResponse:
    search = request.GET.get("q", "").strip()
    rows = Tag.objects.for_account(request.account)
    if search:
        rows = rows.filter(name__icontains=search)
    page = Paginator(rows.order_by("name"), ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {"form": form, "page_obj": page, "search": search, "may_change": request.actor.may(Permission.WORK)}
    return render(request, "senders/tags.html", context)
