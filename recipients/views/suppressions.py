"""The account's suppressions: seen, searched, added, removed, exported."""

from collections.abc import Iterator

from django.http import HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from mailpush.lib import files
from mailpush.lib.refusals import Refusal
from recipients.forms import RemovalForm, SuppressionFileForm, SuppressionForm
from recipients.http import csv_download, limited_upload, sliced
from recipients.models import Suppression, SuppressionQuerySet
from recipients.services import suppressions

FILE_IDS = "id_file_%s"  # both forms of the page have a note


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    return render(
        request,
        "recipients/suppressions.html",
        {
            "query": request.GET.get("q", "").strip(),
            "reason": request.GET.get("reason", ""),
            "reasons": Suppression.Reason.choices,
            "slice": sliced(request, _matching(request), place="id", descending=True),
            "may_change": request.actor.may(Permission.WORK),
        },
    )


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def add(request: AccountRequest) -> HttpResponse:
    form = SuppressionForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        count = len(form.lines)
        done = ngettext("%(count)d address gets no more mail.", "%(count)d addresses get no more mail.", count)
        with reporting(request, done % {"count": count}, form=form):
            suppressions.add(addresses=form.lines, note=form.cleaned_data["note"], by=request.actor, now=timezone.now())
            return redirect("recipients:suppressions")
    context = {"form": form, "file_form": SuppressionFileForm(auto_id=FILE_IDS)}
    return render(request, "recipients/suppression_form.html", context)


@limited_upload
@require_POST
@member_required(Permission.WORK)
def upload(request: AccountRequest) -> HttpResponse:
    """Add the addresses of a file and show what became of each line."""
    form = SuppressionFileForm(request.POST, request.FILES, auto_id=FILE_IDS)
    if refusal := files.refusal_of(request):
        form.errors.clear()
        form.add_error("file", refusal.message)
    elif form.is_valid():
        file = form.cleaned_data["file"]
        try:
            result = suppressions.add_file(
                file=file, name=file.name, note=form.cleaned_data["note"], by=request.actor, now=timezone.now()
            )
        except Refusal as refusal:
            form.add_error(refusal.field or None, refusal.message)
        else:
            return render(request, "recipients/suppression_result.html", {"result": result, "filename": file.name})
    context = {"form": SuppressionForm(), "file_form": form}
    return render(request, "recipients/suppression_form.html", context, status=400)


@require_http_methods(["GET", "POST"])
@member_required(Permission.WORK)
def remove(request: AccountRequest, pk: int) -> HttpResponse:
    row = get_object_or_404(Suppression.objects.for_account(request.account), pk=pk)
    form = RemovalForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        with reporting(request, _("%(address)s will get mail again.") % {"address": row.address}, form=form):
            suppressions.remove(row, note=form.cleaned_data["note"], by=request.actor)
            return redirect("recipients:suppressions")
    return render(request, "recipients/suppression_remove.html", {"form": form, "suppression": row})


@require_GET
@member_required()
def export(request: AccountRequest) -> HttpResponseBase:
    rows = _matching(request).order_by("id")

    def cells() -> Iterator[list[str]]:
        for row in rows.iterator(chunk_size=5000):
            yield [
                row.address,
                row.get_reason_display(),
                row.get_scope_display(),
                row.scope_value,
                row.source,
                row.evidence,
                row.created_at.isoformat(timespec="seconds"),
            ]

    headings = [_("Address"), _("Reason"), _("Scope"), _("Of"), _("Source"), _("Evidence"), _("Since")]
    return csv_download("suppressions.csv", headings, cells())


def _matching(request: AccountRequest) -> SuppressionQuerySet:
    return suppressions.search(
        account=request.account, text=request.GET.get("q", ""), reason=request.GET.get("reason", "")
    )
