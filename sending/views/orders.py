"""Ordering a batch: the form, a look at what would happen, and the order itself."""

from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from django.contrib import messages
from django.core import signing
from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.dateparse import parse_datetime
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts import quotas
from accounts.http import AccountRequest, member_required
from accounts.models import Account, Permission
from mailpush.lib.refusals import Refusal
from recipients.models import RecipientList
from senders.models import Sender, Tag
from sending import audience
from sending.forms import LATER, OrderForm, approved_templates, batch_senders
from sending.http import FRAME_HEADERS
from sending.models import AddressType
from sending.services import batches
from templates_app import rendering

SALT = "sending.order"
CONFIRM_WITHIN = timedelta(days=1)  # a page left open overnight should not send


class NotSeen(Exception):
    """The confirmation is not ours, too old, or about something that is gone; the message says which."""


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def create(request: AccountRequest) -> HttpResponse:
    """Show the form; once it is filled in, show what the order would do."""
    if missing := _missing(request.account):
        return render(request, "sending/order_missing.html", {"missing": missing})
    form = OrderForm(request.POST or None, initial=_chosen(request))
    form.offer(request.account)
    if request.method == "POST" and form.is_valid():
        now = timezone.now()
        wanted = _order(form.cleaned_data)
        try:
            batches.check(wanted, now=now)
        except Refusal as refusal:
            form.add_error(refusal.field if refusal.field in form.fields else None, refusal.message)
        else:
            return render(request, "sending/order_confirm.html", _outlook(request.account, wanted, now=now))
    return render(request, "sending/order_form.html", {"form": form})


@require_POST
@member_required(Permission.WORK)
def order(request: AccountRequest) -> HttpResponse:
    """Order what was confirmed; the same confirmation a second time leads to the same batch."""
    try:
        wanted = _unseal(request)
    except NotSeen as problem:
        messages.error(request, str(problem))
        return redirect("sending:batch-create")
    try:
        batch = batches.order(wanted, by=request.actor, now=timezone.now())
    except Refusal as refusal:
        messages.error(request, refusal.message)
        return redirect(_form_url(wanted))
    messages.success(request, _("The batch is scheduled.") if wanted.at else _("The batch is on its way."))
    return redirect("sending:batch", batch.pk)


@require_GET
@member_required()
def preview(request: AccountRequest, template_pk: int) -> HttpResponse:
    """Show the approved HTML of a template alone, for the sandboxed frame; filled in for the list's first recipient."""
    template = get_object_or_404(approved_templates(request.account), pk=template_pk)
    lists = RecipientList.objects.for_account(request.account)
    values = _sample(lists.filter(pk=_number(request.GET.get("list", ""))).first())
    html = rendering.compile(template.approved.html, escape=True).render(values)
    return HttpResponse(html, headers=FRAME_HEADERS)


def _missing(account: Account) -> dict[str, bool]:
    """Return what an order needs and the account does not have."""
    needed = {
        "sender": batch_senders(account),
        "template": approved_templates(account),
        "list": RecipientList.objects.for_account(account),
    }
    return {name: True for name, rows in needed.items() if not rows.exists()}


def _chosen(request: AccountRequest) -> dict[str, Any]:
    """Return what the address of the page says is chosen already."""
    names = ("list", "template", "sender", "address_type", "tag", "is_tracked", "at")
    chosen: dict[str, Any] = {name: request.GET[name] for name in names if request.GET.get(name)}
    return chosen | {"when": LATER} if "at" in chosen else chosen


def _order(answers: dict[str, Any]) -> batches.Order:
    return batches.Order(
        list=answers["list"],
        template=answers["template"],
        sender=answers["sender"],
        address_type=AddressType(answers["address_type"]),
        tag=answers["tag"],
        is_tracked=answers["is_tracked"],
        at=answers["at"],
        key=uuid4(),
    )


def _outlook(account: Account, wanted: batches.Order, *, now: datetime) -> dict[str, Any]:
    """Return what the confirmation page shows."""
    version = wanted.template.approved
    assert version  # `check` has seen it
    sample = _sample(wanted.list)
    reach = audience.count(wanted.list, sender=wanted.sender)
    left = min(allowance.left for allowance in quotas.allowances(account, now=now))
    return {
        "order": wanted,
        "version": version,
        "subject": rendering.one_line(rendering.compile(version.subject, escape=False).render(sample)),
        "sample_address": sample.get("EAddr", ""),
        "audience": reach,
        "quota_left": left,
        "is_over_quota": wanted.at is None and reach.recipients > left,
        "token": _seal(wanted, version.content_hash),
        "form_url": _form_url(wanted),
    }


def _sample(recipients: RecipientList | None) -> dict[str, str]:
    """Return the variables of the list's first recipient."""
    first = recipients.recipients.order_by("pk").first() if recipients else None
    return {"EAddr": first.address, **first.variables} if first else {}


def _seal(wanted: batches.Order, content_hash: str) -> str:
    """Return the order as it was shown; it travels signed through the visitor's browser."""
    return signing.dumps(
        {
            "account": wanted.sender.account_id,
            "list": wanted.list.pk,
            "template": wanted.template.pk,
            "hash": content_hash,
            "sender": wanted.sender.pk,
            "address_type": wanted.address_type,
            "tag": wanted.tag and wanted.tag.pk,
            "is_tracked": wanted.is_tracked,
            "at": wanted.at and wanted.at.isoformat(),
            "key": str(wanted.key),
        },
        salt=SALT,
        compress=True,
    )


def _unseal(request: AccountRequest) -> batches.Order:
    """Return the order that was confirmed.

    :raises NotSeen: it cannot be carried out as it was shown.
    """
    try:
        seen = signing.loads(request.POST.get("token", ""), salt=SALT, max_age=CONFIRM_WITHIN)
    except signing.BadSignature as error:
        raise NotSeen(_("This confirmation is no longer valid. Fill in the form once more.")) from error
    account = request.account
    if seen["account"] != account.pk:
        raise Http404
    template = approved_templates(account).filter(pk=seen["template"]).first()
    recipients = RecipientList.objects.for_account(account).filter(pk=seen["list"]).first()
    sender = Sender.objects.for_account(account).select_related("account", "domain").filter(pk=seen["sender"]).first()
    tag = Tag.objects.for_account(account).filter(pk=seen["tag"]).first() if seen["tag"] else None
    if not (template and recipients and sender) or (seen["tag"] and not tag):
        raise NotSeen(_("Something you had chosen was deleted meanwhile. Choose again."))
    if template.approved.content_hash != seen["hash"]:
        raise NotSeen(_("Another version of the template has been approved meanwhile. Look at it before you send."))
    return batches.Order(
        list=recipients,
        template=template,
        sender=sender,
        address_type=AddressType(seen["address_type"]),
        tag=tag,
        is_tracked=seen.get("is_tracked", False),  # pages of an earlier version do not say
        at=parse_datetime(seen["at"]) if seen["at"] else None,
        key=UUID(seen["key"]),
    )


def _form_url(wanted: batches.Order) -> str:
    """Return the form with these choices in it."""
    chosen = {
        "list": wanted.list.pk,
        "template": wanted.template.pk,
        "sender": wanted.sender.pk,
        "address_type": wanted.address_type.value,
        "tag": wanted.tag.pk if wanted.tag else "",
        "is_tracked": "1" if wanted.is_tracked else "",
        "at": f"{timezone.localtime(wanted.at):%Y-%m-%dT%H:%M}" if wanted.at else "",
    }
    return f"{reverse('sending:batch-create')}?{urlencode({name: value for name, value in chosen.items() if value})}"


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
