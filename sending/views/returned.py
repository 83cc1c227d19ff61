"""Mail that came back: the list, and each as it came. It is strangers' bytes, so it is shown as text alone."""

from typing import Any

from django.http import HttpResponse
from django.shortcuts import get_object_or_404, render
from django.views.decorators.http import require_GET

from accounts.http import AccountRequest, member_required
from mailpush.mail.bounces import own_words
from mailpush.mail.parts import Part, parts
from recipients.http import sliced
from sending import reports
from sending.models import Message, Returned
from sending.models.returned import ReturnedQuerySet

LONGEST_SHOWN = 100_000  # characters of text or source on the page; the download has all
MOST_FOUND = 1000  # messages to the recipients searched for


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    """Show the latest, by kind or by the recipient whose mail it is about."""
    query, kind = request.GET.get("q", "").strip(), request.GET.get("kind", "")
    found = sliced(request, _matching(request, query, kind), place="id", descending=True)
    about = Message.objects.for_account(request.account).in_bulk({row.message_id for row in found.rows})
    context = {
        "query": query,
        "kind": kind,
        "kinds": Returned.Kind.choices,
        "slice": found,
        "rows": [(row, about.get(row.message_id)) for row in found.rows],
        "failures": reports.FAILURES,
    }
    return render(request, "sending/returned.html", context)


@require_GET
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    row = _row(request, pk)
    found = parts(bytes(row.mime))
    context = {
        "row": row,
        "message": Message.objects.for_account(request.account).filter(pk=row.message_id or 0).first(),
        "failure": reports.FAILURES.get(row.failure, ""),  # type: ignore[call-overload] # its keys are strings
        "size": len(row.mime),
        **_shown(found),
        "source": bytes(row.mime[:LONGEST_SHOWN]).decode("utf-8", "replace"),
    }
    return render(request, "sending/returned_mail.html", context)


@require_GET
@member_required()
def source(request: AccountRequest, pk: int) -> HttpResponse:
    """Send the mail as a file that mail programs open."""
    return HttpResponse(
        bytes(_row(request, pk).mime),
        content_type="message/rfc822",
        headers={"Content-Disposition": f'attachment; filename="returned-{pk}.eml"'},
    )


def _shown(found: list[Part]) -> dict[str, Any]:
    header = found[0].header
    return {
        "subject": header.readable("subject"),
        "author": header.readable("from"),
        "text": own_words(found)[:LONGEST_SHOWN].strip(),
    }


def _row(request: AccountRequest, pk: int) -> Returned:
    return get_object_or_404(Returned.objects.for_account(request.account), pk=pk)


def _matching(request: AccountRequest, query: str, kind: str) -> ReturnedQuerySet:
    rows = Returned.objects.for_account(request.account).without_mime()
    if kind in Returned.Kind.values:
        rows = rows.filter(kind=kind)
    if query:
        messages = Message.objects.for_account(request.account).to_recipients(query)
        rows = rows.filter(message_id__in=list(messages.values_list("pk", flat=True)[:MOST_FOUND]))
    return rows
