"""What every page shows around its content: navigation, languages, hints of the sandbox."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.http import HttpRequest
from django.urls import reverse
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
        return reverse(self.url_name)


WORK = (
    Place("stats:overview", _("Overview"), "layout-dashboard", is_alone=True),
    Place("domains:index", _("Domains"), "world"),
    Place("senders:index", _("Sender addresses"), "at"),
    Place("senders:tags", _("Tags"), "tags"),
    Place("senders:config-sets", _("Configuration sets"), "adjustments-horizontal"),
    Place("recipients:index", _("Recipient lists"), "users-group"),
    Place("templates_app:index", _("Templates"), "template"),
    Place("sending:batches", _("Send"), "send"),
    Place("sending:messages", _("Messages"), "mail"),
    Place("stats:statistics", _("Statistics"), "chart-bar"),
    Place("sending:returned", _("Returned mail"), "mail-down"),
    Place("recipients:suppressions", _("Suppressions"), "mail-off"),
)
ACCOUNT = (
    Place("accounts:members", _("Members"), "users"),
    Place("accounts:access-keys", _("Access keys"), "key"),
    Place("accounts:ip-protection", _("IP protection"), "shield-lock"),
    Place("sending:webhooks", _("Webhooks"), "webhook"),
    Place("accounts:audit-log", _("Audit log"), "history"),
    Place("accounts:settings", _("Settings"), "settings", is_alone=True),
)
SANDBOX = (Place("sandbox:inbox", _("Sandbox inbox"), "inbox"),)
STAFF = (Place("admin:index", _("Review desk"), "gavel"),)

# What the editor of mails says in English, by the words it looks up.
EDITOR_WORDS = {
    "Undo": _("Undo"),
    "Redo": _("Redo"),
    "Blocks": _("Blocks"),
    "Paragraph": _("Paragraph"),
    "Heading 1": _("Heading 1"),
    "Heading 2": _("Heading 2"),
    "Heading 3": _("Heading 3"),
    "Heading 4": _("Heading 4"),
    "Heading 5": _("Heading 5"),
    "Heading 6": _("Heading 6"),
    "Preformatted": _("Preformatted"),
    "Bold": _("Bold"),
    "Italic": _("Italic"),
    "Underline": _("Underline"),
    "Text color": _("Text colour"),
    "Remove color": _("No colour"),
    "Custom color": _("Other colour"),
    "Align left": _("Align left"),
    "Align center": _("Centre"),
    "Align right": _("Align right"),
    "Bullet list": _("Bullet list"),
    "Numbered list": _("Numbered list"),
    "Insert/edit link": _("Link"),
    "Insert/Edit Link": _("Link"),
    "Insert/edit image": _("Picture"),
    "Insert/Edit Image": _("Picture"),
    "Source": _("Address"),
    "Alternative description": _("What the picture shows"),
    "Width": _("Width"),
    "Height": _("Height"),
    "URL": _("Address"),
    "Text to display": _("Text"),
    "Title": _("Title"),
    "Open link in...": _("Open in…"),
    "Current window": _("The same window"),
    "New window": _("A new window"),
    "Table": _("Table"),
    "Insert table": _("Insert a table"),
    "Delete table": _("Delete the table"),
    "Table properties": _("Properties of the table"),
    "Row": _("Row"),
    "Column": _("Column"),
    "Cell": _("Cell"),
    "Source code": _("HTML source"),
    "Source Code": _("HTML source"),
    "Save": _("Save"),
    "Cancel": _("Cancel"),
    "Close": _("Close"),
}


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
    """Context processor: what the frame of the page shows besides what the page gives it."""
    is_sandbox = settings.MAILPUSH_DELIVERY == "sandbox"
    return {
        # Put off until a template asks: most answers show no frame.
        "navigation": SimpleLazyObject(lambda: navigation(request)),
        "languages": SimpleLazyObject(lambda: [get_language_info(code) for code, _name in settings.LANGUAGES]),
        "editor_words": EDITOR_WORDS,
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
    above = [place for place in places if path.startswith(place.url)]
    return max(
        (place for place in above if path == place.url or not place.is_alone),
        key=lambda place: len(place.url),
        default=None,
    )


def _entry(place: Place, here: Place | None) -> Entry:
    return Entry(place.label, place.icon, place.url, place is here)
