"""Webhooks: where programs are told what happens, each with its calls and every try."""

import json

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from recipients.http import sliced
from sending.forms import WebhookForm
from sending.models import EventKind, Webhook, WebhookCall
from sending.services import webhooks


@never_cache  # the answer to a POST carries the secret
@require_http_methods(["GET", "POST"])
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    form = WebhookForm(request.POST or None)
    created = None
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The webhook is ready."), form=form):
            created = webhooks.create(**form.cleaned_data, by=request.actor, now=timezone.now())
    context = {
        "form": form if created is None else WebhookForm(),
        "created": created,
        "kinds": EventKind.choices,
        "webhooks": Webhook.objects.for_account(request.account).order_by("-pk"),
        "may_change": request.actor.may(Permission.WORK),
    }
    return render(request, "sending/webhooks.html", context)


@require_http_methods(["GET", "POST"])
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    """Show a webhook with its calls; a POST changes it."""
    webhook = _webhook(request, pk)
    form = WebhookForm(request.POST or None, initial={"url": webhook.url, "kinds": webhook.kinds})
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The webhook is changed."), form=form):
            webhooks.change(webhook, **form.cleaned_data, by=request.actor)
            return redirect("sending:webhook", pk)
    return _page(request, webhook, form=form)


@never_cache
@require_POST
@member_required(Permission.WORK)
def renew_secret(request: AccountRequest, pk: int) -> HttpResponse:
    webhook = _webhook(request, pk)
    secret = webhooks.renew_secret(webhook, by=request.actor, now=timezone.now())
    return _page(request, _webhook(request, pk), secret=secret)


@require_POST
@member_required(Permission.WORK)
def pause(request: AccountRequest, pk: int) -> HttpResponse:
    webhooks.pause(_webhook(request, pk), by=request.actor, now=timezone.now())
    messages.success(request, _("The webhook is paused. Its calls wait."))
    return redirect("sending:webhook", pk)


@require_POST
@member_required(Permission.WORK)
def resume(request: AccountRequest, pk: int) -> HttpResponse:
    webhooks.resume(_webhook(request, pk), by=request.actor, now=timezone.now())
    messages.success(request, _("The webhook is called again, first with all that has waited."))
    return redirect("sending:webhook", pk)


@require_POST
@member_required(Permission.WORK)
def try_out(request: AccountRequest, pk: int) -> HttpResponse:
    call = webhooks.try_out(_webhook(request, pk), by=request.actor, now=timezone.now())
    messages.success(request, _("A test event is on its way. Reload this page in a moment."))
    return redirect("sending:webhook-call", call.pk)


@require_POST
@member_required(Permission.WORK)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    webhooks.delete(_webhook(request, pk), by=request.actor)
    messages.success(request, _("The webhook is deleted."))
    return redirect("sending:webhooks")


@require_GET
@member_required()
def call(request: AccountRequest, pk: int) -> HttpResponse:
    """Show a call: its events as they are sent, and every try."""
    shown = _call(request, pk)
    context = {
        "call": shown,
        "body": json.dumps({"events": shown.events}, ensure_ascii=False, indent=2),
        "tries": shown.tries.order_by("-pk"),
        "may_change": request.actor.may(Permission.WORK),
    }
    return render(request, "sending/webhook_call.html", context)


@require_POST
@member_required(Permission.WORK)
def send_again(request: AccountRequest, pk: int) -> HttpResponse:
    webhooks.send_again(_call(request, pk), by=request.actor, now=timezone.now())
    messages.success(request, _("The call is made once more."))
    return redirect("sending:webhook-call", pk)


def _webhook(request: AccountRequest, pk: int) -> Webhook:
    return get_object_or_404(Webhook.objects.for_account(request.account), pk=pk)


def _call(request: AccountRequest, pk: int) -> WebhookCall:
    return get_object_or_404(WebhookCall.objects.select_related("webhook"), pk=pk, webhook__account=request.account)


def _page(
    request: AccountRequest, webhook: Webhook, *, form: WebhookForm | None = None, secret: str = ""
) -> HttpResponse:
    status = request.GET.get("status", "")
    rows = webhook.calls.defer("events")
    if status in WebhookCall.Status.values:
        rows = rows.filter(status=status)
    context = {
        "webhook": webhook,
        "form": form or WebhookForm(initial={"url": webhook.url, "kinds": webhook.kinds}),
        "secret": secret,
        "slice": sliced(request, rows, place="id", descending=True),
        "status": status,
        "statuses": WebhookCall.Status.choices,
        "may_change": request.actor.may(Permission.WORK),
    }
    return render(request, "sending/webhook.html", context)
