"""Pages of configuration sets: the list, a set with its sender addresses."""

from django.core.paginator import Paginator
from django.db.models import Count, Q
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from senders.forms import ConfigSetForm, SenderOfSetForm
from senders.models import ConfigSet, Sender, SourcePool
from senders.services import config_sets
from senders.services.config_sets import Settings

ROWS_A_PAGE = 20
SUGGESTIONS = 50  # sender addresses without a set, offered while one is typed


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    rows = ConfigSet.objects.for_account(request.account).select_related("pool")
    rows = rows.annotate(used_by=Count("senders", filter=Q(senders__deleted_at=None)))
    page = Paginator(rows.order_by("name"), ROWS_A_PAGE).get_page(request.GET.get("page"))
    context = {"page_obj": page, "may_change": request.actor.may(Permission.WORK)}
    return render(request, "senders/config_sets.html", context)


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def create(request: AccountRequest) -> HttpResponse:
    form = _form(request, None)
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The configuration set is ready. Put sender addresses into it now."), form=form):
            made = config_sets.create(_settings(request, form, None), by=request.actor, now=timezone.now())
            return redirect("senders:config-set", made.pk)
    return _page(request, None, form)


@require_http_methods(["GET", "POST"])
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    current = _config_set(request, pk)
    form = _form(request, current)
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The configuration set is changed."), form=form):
            config_sets.change(current, _settings(request, form, current), by=request.actor)
        if form.is_valid():
            return redirect("senders:config-set", pk)
        current = _config_set(request, pk)  # without what was refused
    return _page(request, current, form)


@require_POST
@member_required(Permission.WORK)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    current = _config_set(request, pk)
    with reporting(request, _("The configuration set “%(name)s” is deleted.") % {"name": current}):
        config_sets.delete([current], is_forced=True, by=request.actor)  # the page has asked
    return redirect("senders:config-sets")


@require_POST
@member_required(Permission.WORK)
def add_sender(request: AccountRequest, pk: int) -> HttpResponse:
    current = _config_set(request, pk)
    form = SenderOfSetForm(request.POST)
    if form.is_valid():
        address = form.cleaned_data["address"].strip().lower()
        sender = Sender.objects.for_account(request.account).filter(address=address).first()
        if sender is None:
            form.add_error("address", _("%(address)s is not one of your sender addresses.") % {"address": address})
        else:
            done = _("%(address)s belongs to the configuration set now.") % {"address": sender}
            with reporting(request, done, form=form):
                config_sets.relate(current, sender, by=request.actor)
    if form.errors:
        return _page(request, current, _form(request, current, is_sent=False), sender_form=form)
    return redirect("senders:config-set", pk)


@require_POST
@member_required(Permission.WORK)
def take_out(request: AccountRequest, pk: int, sender_pk: int) -> HttpResponse:
    current = _config_set(request, pk)
    sender = get_object_or_404(Sender.objects.for_account(request.account), pk=sender_pk)
    with reporting(request, _("%(address)s belongs to no configuration set now.") % {"address": sender}):
        config_sets.unrelate(current, sender, by=request.actor)
    return redirect("senders:config-set", pk)


def _config_set(request: AccountRequest, pk: int) -> ConfigSet:
    return get_object_or_404(ConfigSet.objects.for_account(request.account).select_related("pool"), pk=pk)


def _form(request: AccountRequest, current: ConfigSet | None, *, is_sent: bool = True) -> ConfigSetForm:
    names = ("name", "description", "is_validating", "refused_statuses", "refused_sub_statuses")
    present = {"pool": current.pool_id, **{name: getattr(current, name) for name in names}} if current else {}
    form = ConfigSetForm((request.POST or None) if is_sent else None, initial=present)
    form.offer(SourcePool.objects.for_account(request.account).order_by("name"), of=current)
    return form


def _settings(request: AccountRequest, form: ConfigSetForm, current: ConfigSet | None) -> Settings:
    pool = form.cleaned_data["pool"]
    return Settings(
        **(
            form.cleaned_data | {"pool": SourcePool.objects.for_account(request.account).get(pk=pool) if pool else None}
        ),
        is_backing_off=current is not None and current.is_backing_off,  # programs alone set it
    )


def _page(
    request: AccountRequest,
    current: ConfigSet | None,
    form: ConfigSetForm,
    *,
    sender_form: SenderOfSetForm | None = None,
) -> HttpResponse:
    own = Sender.objects.for_account(request.account)
    members = own.filter(config_set=current).order_by("address") if current else own.none()
    context = {
        "config_set": current,
        "form": form,
        "sender_form": sender_form or SenderOfSetForm(),
        "page_obj": Paginator(members, ROWS_A_PAGE).get_page(request.GET.get("page")),
        "free": own.filter(config_set=None).order_by("address").values_list("address", flat=True)[:SUGGESTIONS],
        "may_change": request.actor.may(Permission.WORK),
    }
    return render(request, "senders/config_set.html", context)
