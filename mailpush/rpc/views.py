"""Pages about the API."""

from datetime import timedelta

from django.core import signing
from django.core.files.storage import default_storage
from django.http import FileResponse, Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_safe

from accounts.http import AccountRequest, member_required
from mailpush.rpc import checking
from mailpush.rpc.actions import validation
from mailpush.rpc.forms import SignatureForm
from sending.models import AddressFile

LINK_LASTS = timedelta(days=1)


@require_safe
def address_file(_request: HttpRequest, token: str) -> FileResponse:
    """Give what was found of a file's addresses to whoever has the link, for a day."""
    try:
        name = signing.loads(token, salt=validation.SALT, max_age=LINK_LASTS)
    except signing.BadSignature as error:
        raise Http404 from error
    row = get_object_or_404(AddressFile.objects.exclude(result=""), token=name)
    return FileResponse(default_storage.open(row.result, "rb"), as_attachment=True, filename=f"{row.name}.csv")


@require_http_methods(["GET", "POST"])
@member_required()
def signature_checker(request: AccountRequest) -> HttpResponse:
    """Show why a request's signature does not fit."""
    form = SignatureForm(request.POST or None)
    found = None
    if form.is_valid():
        own = form.cleaned_data["own"]
        try:
            found = checking.report(form.cleaned_data["request"], own=own, account=request.account, now=timezone.now())
        except checking.NotARequest:
            form.add_error("request", _("Begin with the request line, such as: POST / HTTP/1.1"))
    return render(request, "rpc/signature_checker.html", {"form": form, "found": found})
