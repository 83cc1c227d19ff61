"""Lists, page by page: each page names the place where the next one begins, so none costs more than the first."""

import base64
import binascii
from collections.abc import Callable
from typing import Any

from django.utils.translation import gettext as _
from rest_framework import serializers
from rest_framework.request import Request

from accounts.api.errors import REFUSED, Problem
from accounts.api.fields import Shape, Text

MOST = 100
USUAL = 25


class Page(Shape):
    """The part of a list that is wanted; lists add their filters."""

    limit = serializers.IntegerField(
        min_value=1, max_value=MOST, default=USUAL, help_text="How many entries a page has at most."
    )
    cursor = Text(required=False, max_length=64, help_text="`next` of the page before; left out for the first page.")


def asked(shape: type[Shape], request: Request, **context: Any) -> dict[str, Any]:
    """Return what the address says is wanted."""
    repeated = next((name for name, values in request.query_params.lists() if len(values) > 1), None)
    if repeated is not None:
        raise Problem(REFUSED, "repeated", _("This stands in the address more than once."), field=repeated[:64])
    wanted = shape(data=request.query_params.dict(), context=context)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


def newest_first(rows: Any, asked: dict[str, Any], shown: Callable[[Any], dict[str, Any]]) -> dict[str, Any]:
    """Return a page of rows by falling id, as the answer has it."""
    if "cursor" in asked:
        rows = rows.filter(pk__lt=_place(asked["cursor"]))
    limit = asked["limit"]
    found = list(rows.order_by("-pk")[: limit + 1])
    return {
        "data": [shown(row) for row in found[:limit]],
        "next": _cursor(found[limit - 1].pk) if len(found) > limit else None,
    }


def _cursor(pk: int) -> str:
    return base64.urlsafe_b64encode(f"before {pk}".encode()).decode().rstrip("=")


def _place(cursor: str) -> int:
    try:
        word, _space, pk = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode("ascii").partition(" ")
    except (ValueError, binascii.Error):
        word, pk = "", ""
    if word != "before" or not pk.isdecimal() or len(pk) > 18:  # noqa: PLR2004 - what a bigint holds
        raise Problem(REFUSED, "bad_cursor", _("Take the cursor from “next” of the page before."), field="cursor")
    return int(pk)
