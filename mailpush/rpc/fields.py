"""How DirectMail writes things: moments, yes and no, numbers as texts, pages."""

from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from mailpush.rpc.params import Page

Fields = dict[str, Any]


def minute(at: datetime | None) -> str:
    """Return `2019-09-29T13:28Z`; empty for no moment."""
    return f"{at:%Y-%m-%dT%H:%MZ}" if at else ""


def second(at: datetime | None) -> str:
    """Return `2019-09-29T13:28:05Z`; empty for no moment."""
    return f"{at:%Y-%m-%dT%H:%M:%SZ}" if at else ""


def epoch(at: datetime | None) -> int:
    return int(at.timestamp()) if at else 0


def failed(*, passed: bool) -> str:
    """Return the status of a check: 0 is good."""
    return "0" if passed else "1"


def paged(rows: "QuerySet[Any]", page: Page) -> tuple[Fields, list[Any]]:
    """Return what a list says of itself, and the rows of the page."""
    counts: Fields = {"PageNumber": page.number, "PageSize": page.size, "TotalCount": rows.count()}
    return counts, list(rows[page.rows])
