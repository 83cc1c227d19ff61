"""What the pages of sending share: messages page by page, and the headers of framed mails."""

from typing import Any
from urllib.parse import urlencode

from django.db.models import Q
from django.http import HttpRequest

from recipients.http import PAGE_SIZE, Slice
from templates_app.http import FRAME_POLICY

# For a page that shows a customer's HTML in a frame: it may neither run nor send anything.
FRAME_HEADERS = {
    "Content-Security-Policy": FRAME_POLICY,
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}


def sliced_by_recipient(request: HttpRequest, rows: Any) -> Slice:
    """Return the page that `?after=` names, by address and the newest first, of messages `to_recipients`.

    The order is that of the index, so a page costs the same wherever it begins.
    """
    last_id, _dot, key = request.GET.get("after", "").replace("\0", "").partition(".")
    if last_id.isdecimal() and key:
        rows = rows.filter(Q(key__gt=key) | Q(key=key, pk__lt=int(last_id)), key__gte=key)
    found = list(rows.order_by("key", "-pk")[: PAGE_SIZE + 1])
    kept = {name: value for name, value in request.GET.items() if name != "after" and value}
    return Slice(
        rows=found[:PAGE_SIZE],
        first_url=f"?{urlencode(kept)}" if last_id else "",
        next_url=f"?{urlencode(kept | {'after': _place(found[PAGE_SIZE - 1])})}" if len(found) > PAGE_SIZE else "",
    )


def _place(row: Any) -> str:
    return f"{row.pk}.{row.key}"
