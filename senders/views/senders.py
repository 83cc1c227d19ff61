"""Pages of sender addresses: the list, a new one, its reply address and SMTP."""

from typing import Any

from django.conf import settings
from django.core.paginator import Paginator
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from domains.models import Domain
from senders.forms import AnswersForm, CrashForm, PasswordForm, ReplyAddressForm, SenderForm
from senders.models import Sender
from senders.services import answers, reply_addresses, senders

ROWS_A_PAGE = 20


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    search = request.GET.get("q", "").strip()
    rows = Sender.objects.for_account(request.account).select_related("account", "domain")
    if search:
        rows = rows.filter(address__icontains=search)
    page = Paginator(rows.order_by("-created_at", "-pk"), ROWS_A_PAGE).get_page(request.GET.get("page"))
    return render(
        request,
        "senders/index.html",
        {"page_obj": page, "search": search, "may_change": request.actor.may(Permission.WORK)},
    )


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def create(request: AccountRequest) -> HttpResponse:
    domains = list(Domain.objects.for_account(request.account).usable().order_by("name"))
    form = SenderForm(request.POST or None, initial={"domain": request.GET.get("domain", "")})
    form.offer(domains)
    if request.method == "POST" and form.is_valid():
        answers = form.cleaned_data
        with reporting(request, _("The sender address is ready."), form=form):
            sender = senders.create(
                answers["account_part"],
                domain_id=answers["domain"],
                stream=answers["stream"],
                reply_to=answers["reply_to"],
                by=request.actor,
                now=timezone.now(),
            )
            return redirect("senders:detail", pk=sender.pk)
    shown = {"form": form, "has_domains": bool(domains), "domain_login": Sender.DOMAIN_LOGIN}
    return render(request, "senders/create.html", shown)


@require_GET
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    return _page(request, _sender(request, pk))


@require_POST
@member_required(Permission.WORK)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    sender = _sender(request, pk)
    with reporting(request, _("%(address)s is deleted.") % {"address": sender}):
        senders.delete(sender, by=request.actor, now=timezone.now())
    return redirect("senders:index")


@require_POST
@member_required(Permission.WORK)
def change_reply_address(request: AccountRequest, pk: int) -> HttpResponse:
    sender = _sender(request, pk)
    form = ReplyAddressForm(request.POST)
    if form.is_valid():
        wanted = form.cleaned_data["reply_to"]
        done = (
            _("We have mailed a link to %(address)s.") % {"address": wanted} if wanted else _("Replies go nowhere now.")
        )
        with reporting(request, done, form=form):
            reply_addresses.change(sender, wanted, by=request.actor, now=timezone.now())
    if form.errors:
        return _page(request, sender, reply_form=form)
    return redirect("senders:detail", pk=pk)


@require_POST
@member_required(Permission.WORK)
def resend_link(request: AccountRequest, pk: int) -> HttpResponse:
    sender = _sender(request, pk)
    with reporting(request, _("We have mailed a new link to %(address)s.") % {"address": sender.reply_to}):
        reply_addresses.resend(sender, by=request.actor, now=timezone.now())
    return redirect("senders:detail", pk=pk)


@require_POST
@member_required(Permission.WORK)
def set_password(request: AccountRequest, pk: int) -> HttpResponse:
    sender = _sender(request, pk)
    form = PasswordForm(request.POST)
    if form.is_valid():
        with reporting(request, _("The SMTP password is set."), form=form):
            senders.set_smtp_password(sender, form.cleaned_data["password"], by=request.actor)
    if form.errors:
        return _page(request, sender, password_form=form)
    return redirect("senders:detail", pk=pk)


@never_cache  # the answer carries the password
@require_POST
@member_required(Permission.WORK)
def generate_password(request: AccountRequest, pk: int) -> HttpResponse:
    sender = _sender(request, pk)
    password = senders.generate_smtp_password(sender, by=request.actor)
    sender.refresh_from_db(fields=["smtp_password_hash"])
    return _page(request, sender, new_password=password)


@require_POST
@member_required(Permission.WORK)
def close_smtp(request: AccountRequest, pk: int) -> HttpResponse:
    sender = _sender(request, pk)
    with reporting(request, _("SMTP is closed for this address.")):
        senders.clear_smtp_password(sender, by=request.actor)
    return redirect("senders:detail", pk=pk)


@require_POST
@member_required(Permission.WORK)
def change_answers(request: AccountRequest, pk: int) -> HttpResponse:
    sender = _sender(request, pk)
    form = AnswersForm(request.POST)
    if form.is_valid():
        with reporting(request, _("The settings are saved."), form=form):
            answers.change(sender, **form.cleaned_data, by=request.actor)
    if form.errors:
        return _page(request, sender, answers_form=form)
    return redirect("senders:detail", pk=pk)


@require_POST
@member_required(Permission.WORK)
def change_crash_policy(request: AccountRequest, pk: int) -> HttpResponse:
    form = CrashForm(request.POST)
    if form.is_valid():
        with reporting(request, _("The settings are saved.")):
            senders.change_crash_policy(_sender(request, pk), **form.cleaned_data, by=request.actor)
    return redirect("senders:detail", pk=pk)


def _sender(request: AccountRequest, pk: int) -> Sender:
    rows = Sender.objects.for_account(request.account).select_related("account", "domain", "config_set")
    return get_object_or_404(rows, pk=pk)


def _page(request: AccountRequest, sender: Sender, **shown: Any) -> HttpResponse:
    context = {
        "sender": sender,
        "reply_form": ReplyAddressForm(initial={"reply_to": sender.reply_to}),
        "answers_form": AnswersForm(
            initial={"forwards_replies": sender.forwards_replies, "unsubscribe_scope": sender.unsubscribe_scope}
        ),
        "crash_form": CrashForm(initial={"resends_unknown": sender.sends_unknown_again}),
        "password_form": PasswordForm(),
        "smtp_host": settings.PUBLIC_HOST,
        "smtp_doors": settings.MAILPUSH_SUBMISSION_BIND,
        "may_change": request.actor.may(Permission.WORK),
    }
    return render(request, "senders/detail.html", {**context, **shown})
