"""Single recipients of a list."""

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from mailpush.lib.refusals import Refusal
from recipients.forms import RecipientForm
from recipients.services import recipients
from recipients.views.lists import own_list


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def add(request: AccountRequest, pk: int) -> HttpResponse:
    current = own_list(request, pk)
    form = RecipientForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        address = form.cleaned_data["address"].strip()
        with reporting(request, _("%(address)s is on the list.") % {"address": address}, form=form):
            recipients.add(current, address=address, variables=form.variables, by=request.actor, now=timezone.now())
            return redirect("recipients:list", pk)
    return render(request, "recipients/recipient_form.html", {"form": form, "list": current, "recipient": None})


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def edit(request: AccountRequest, pk: int, recipient_pk: int) -> HttpResponse:
    current = own_list(request, pk)
    recipient = get_object_or_404(current.recipients, pk=recipient_pk)
    form = RecipientForm(request.POST or None, initial={"address": recipient.address, **recipient.variables})
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("The recipient is changed."), form=form):
            recipients.edit(recipient, address=form.cleaned_data["address"], variables=form.variables, by=request.actor)
            return redirect("recipients:list", pk)
    return render(request, "recipients/recipient_form.html", {"form": form, "list": current, "recipient": recipient})


@require_POST
@member_required(Permission.WORK)
def delete(request: AccountRequest, pk: int) -> HttpResponse:
    """Take the chosen recipients off the list."""
    current = own_list(request, pk)
    ids = [int(text) for text in request.POST.getlist("recipient") if text.isdecimal()]
    if not ids:
        messages.info(request, _("Select the recipients first."))
        return redirect("recipients:list", pk)
    done = ngettext("%(count)d recipient is off the list.", "%(count)d recipients are off the list.", len(ids))
    with reporting(request, done % {"count": len(ids)}):
        recipients.delete(current, ids=ids, by=request.actor)
    return redirect("recipients:list", pk)


@require_POST
@member_required(Permission.WORK)
def delete_invalid(request: AccountRequest, pk: int) -> HttpResponse:
    """Take everybody without a mailbox off the list."""
    current = own_list(request, pk)
    try:
        count = recipients.delete_invalid(current, by=request.actor)
    except Refusal as refusal:
        messages.error(request, refusal.message)
    else:
        done = ngettext("%(count)d recipient is off the list.", "%(count)d recipients are off the list.", count)
        messages.success(request, done % {"count": count})
    return redirect("recipients:list", pk)
