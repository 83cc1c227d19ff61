"""What every page shows around its content: navigation, languages, hints of the sandbox."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import get_language_info
from django.utils.translation import gettext_lazy as _

from mailpush.lib.visitors import is_local_visitor


@dataclass(frozen=True, slots=True)
class Place:
    """An entry of the navigation."""

    url_name: str
    label: Any  # translated when shown
    icon: str
    is_alone: bool = False  # other pages lie below its address, but do not belong to it

    @property
    def url(self) -> str:
        try:
            return reverse(self.url_name)
        except NoReverseMatch:
            return ""


WORK = (
    Place("stats:overview", _("Overview"), "layout-dashboard", is_alone=True),
    Place("domains:index", _("Domains"), "world"),
    Place("senders:index", _("Sender addresses"), "at"),
    Place("senders:tags", _("Tags"), "tags"),
    Place("recipients:index", _("Recipient lists"), "users-group"),
    Place("templates_app:index", _("Templates"), "template"),
    Place("sending:batches", _("Send"), "send"),
    Place("sending:messages", _("Messages"), "mail"),
    Place("stats:statistics", _("Statistics"), "chart-bar"),
    Place("recipients:suppressions", _("Suppressions"), "mail-off"),
)
ACCOUNT = (
    Place("accounts:members", _("Members"), "users"),
    Place("accounts:access-keys", _("Access keys"), "key"),
    Place("accounts:audit-log", _("Audit log"), "history"),
    Place("accounts:settings", _("Settings"), "settings", is_alone=True),
)
SANDBOX = (Place("sandbox:inbox", _("Sandbox inbox"), "inbox"),)
STAFF = (Place("admin:index", _("Review desk"), "gavel"),)


@dataclass(frozen=True, slots=True)
class Entry:
    """A place as one request sees it."""

    label: Any
    icon: str
    url: str
    is_active: bool


@dataclass(frozen=True, slots=True)
class Section:
    title: Any
    entries: list[Entry]


def shell(request: HttpRequest) -> dict[str, Any]:
    """Context processor: `navigation`, `languages`, `is_sandbox` and `sandbox_hint` of the page's frame."""
    is_sandbox = settings.MAILPUSH_DELIVERY == "sandbox"
    return {
        # Put off until a template asks: most answers show no frame.
        "navigation": SimpleLazyObject(lambda: navigation(request)),
        "languages": SimpleLazyObject(lambda: [get_language_info(code) for code, _name in settings.LANGUAGES]),
        "is_sandbox": is_sandbox,
        "sandbox_hint": SimpleLazyObject(lambda: is_sandbox and is_local_visitor(request)),
    }


def navigation(request: HttpRequest) -> list[Section]:
    user = getattr(request, "user", None)
    sections = [(None, WORK), (_("Account"), ACCOUNT)]
    if settings.MAILPUSH_DELIVERY == "sandbox":
        sections.append((_("Sandbox"), SANDBOX))
    if user is not None and user.is_staff:
        sections.append((_("Review"), STAFF))
    here = active_place(request.path, [place for _title, places in sections for place in places])
    return [Section(title, [_entry(place, here) for place in places]) for title, places in sections]


def active_place(path: str, places: Iterable[Place]) -> Place | None:
    """Return the place that the page at `path` belongs to: the nearest one above it."""
    above = [place for place in places if place.url and path.startswith(place.url)]
    return max(
        (place for place in above if path == place.url or not place.is_alone),
        key=lambda place: len(place.url),
        default=None,
    )


def _entry(place: Place, here: Place | None) -> Entry:
    return Entry(place.label, place.icon, place.url, place is here)
