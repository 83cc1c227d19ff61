"""Uploads into a list: sending the file, watching the import, fetching the rejected lines."""

from django.http import FileResponse, Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from mailpush.lib import files
from recipients.forms import UploadForm
from recipients.http import limited_upload
from recipients.models import Import
from recipients.services import imports
from recipients.views.lists import imports_shown, own_list

SAMPLE = """\
{EAddr},{UserName},{NickName},{Gender},{Birthday},{Mobile}
test1@example.com,张三,三丰,先生,1990/1/1,13800000001
test2@example.com,"Smith, Anna",Anna,Ms,1985-06-30,
test3@example.com
"""


@limited_upload
@require_POST
@member_required(Permission.WORK)
def upload(request: AccountRequest, pk: int) -> HttpResponse:
    current = own_list(request, pk)
    form = UploadForm(request.POST, request.FILES)
    if refusal := files.refusal_of(request):
        form.errors.clear()
        form.add_error("file", refusal.message)
        return _page(request, current.pk, form, status=413 if isinstance(refusal, imports.FileTooLarge) else 503)
    if form.is_valid():
        with reporting(request, _("The file is here; its import has begun."), form=form):
            imports.start(current, file=form.cleaned_data["file"], by=request.actor, now=timezone.now())
            return redirect("recipients:list", pk)
    return _page(request, current.pk, form, status=400)


@require_GET
@member_required()
def progress(request: AccountRequest, pk: int) -> HttpResponse:
    """Show the imports of a list; the page asks again while one of them runs."""
    current = own_list(request, pk)
    return render(request, "recipients/_imports.html", {"list": current, **imports_shown(current)})


@require_GET
@member_required()
def rejects(request: AccountRequest, pk: int) -> HttpResponseBase:
    """Send the lines of an import that were left out."""
    job = get_object_or_404(Import.objects.for_account(request.account), pk=pk)
    if not job.rejects:
        raise Http404
    return FileResponse(
        job.rejects.open("rb"), as_attachment=True, filename=f"rejected-{job.pk}.csv", content_type="text/csv"
    )


@require_GET
@member_required()
def sample(_request: HttpRequest) -> HttpResponse:
    return HttpResponse(
        "\ufeff" + SAMPLE,
        content_type="text/csv; charset=utf-8",
        headers={"Content-Disposition": 'attachment; filename="recipients.csv"'},
    )


def _page(request: AccountRequest, pk: int, form: UploadForm, *, status: int) -> HttpResponse:
    return render(
        request,
        "recipients/upload.html",
        {"list": own_list(request, pk), "upload_form": form},
        status=status,
    )
