"""Template tags of the pages: icons, badges, form fields, paging, empty states, figures.

A builtin of the template engine (settings), so no page loads it.
"""

from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from django import forms, template
from django.conf import settings
from django.contrib.humanize.templatetags.humanize import intcomma, naturaltime
from django.core.paginator import Page
from django.forms.boundfield import BoundField
from django.template import Context
from django.template.loader import render_to_string
from django.template.loader_tags import BLOCK_CONTEXT_KEY
from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString, mark_safe
from django.utils.translation import gettext as _

register = template.Library()

ICONS = Path(settings.BASE_DIR) / "mailpush" / "node_modules" / "@tabler" / "icons" / "icons" / "outline"
INVISIBLE = '<path stroke="none" d="M0 0h24v24H0z" fill="none" />'  # the bounding box of every icon

COLOURS = frozenset({"primary", "secondary", "success", "warning", "danger", "info"})

# Widgets by what Bootstrap calls their class; what is not here is a plain control.
CHECKS = (forms.CheckboxInput,)
CHOICES = (forms.RadioSelect, forms.CheckboxSelectMultiple)


@lru_cache(maxsize=512)
def icon_shapes(name: str) -> str:
    """Return what stands between <svg> and </svg> of a Tabler outline icon.

    :raises FileNotFoundError: there is no such icon, or the packages are not installed yet.
    """
    drawing = (ICONS / f"{name}.svg").read_text()
    shapes = drawing[drawing.index(">") + 1 : drawing.rindex("</svg>")]
    return " ".join(shapes.replace(INVISIBLE, "").split())


@register.simple_tag
def icon(name: str, css: str = "", label: str = "") -> SafeString:
    """Draw an icon inside the page; hidden from screen readers unless it has a `label` of its own."""
    try:
        shapes = mark_safe(icon_shapes(name))  # noqa: S308 from the icon package
    except FileNotFoundError:
        return SafeString("")  # a page without an icon is still a page
    spoken = format_html('role="img" aria-label="{}"', label) if label else SafeString('aria-hidden="true"')
    return format_html(
        '<svg class="icon{}" viewBox="0 0 24 24" width="24" height="24" fill="none" stroke="currentColor"'
        ' stroke-width="2" stroke-linecap="round" stroke-linejoin="round" {}>{}</svg>',
        f" {css}" if css else "",
        spoken,
        shapes,
    )


@register.simple_tag(takes_context=True)
def block_again(context: Context, name: str) -> str:
    """Show a block of the page once more: the heading, where a page gives none, is its title."""
    blocks = context.render_context.get(BLOCK_CONTEXT_KEY)
    block = blocks.get_block(name) if blocks else None
    return block.render(context) if block else ""


@register.simple_tag
def badge(colour: str, label: object, title: str = "") -> SafeString:
    """Show a status word on a soft coloured ground."""
    return format_html(
        '<span class="badge bg-{}-lt"{}>{}</span>',
        colour if colour in COLOURS else "secondary",
        format_html(' title="{}"', title) if title else "",
        label,
    )


@register.inclusion_tag("ui/copy.html")
def copy(text: object, label: str = "") -> dict[str, object]:
    """Offer a button that copies `text`; `label` stands beside the icon."""
    return {"text": text, "label": label}


@register.simple_block_tag(name="empty", end_name="endempty")
def empty_state(content: str, *, title: str, icon: str = "inbox", text: str = "") -> SafeString:
    """Say what is not here yet and, in the block, what to do next."""
    return render_to_string(
        "ui/empty.html", {"action": SafeString(content.strip()), "icon_name": icon, "title": title, "text": text}
    )


@register.inclusion_tag("ui/pages.html", takes_context=True)
def pages(context: Context, page: Page[Any]) -> dict[str, object]:
    """Link the pages of a list; the rest of the query string stays."""
    numbers = page.paginator.get_elided_page_range(page.number, on_each_side=1, on_ends=1)
    return {"request": context.get("request"), "page": page, "numbers": list(numbers), "gap": page.paginator.ELLIPSIS}


@register.simple_tag(name="datetime")
def date_and_time(value: datetime | None) -> SafeString:
    """Show a moment in the user's time zone; pointing at it tells how long ago and where."""
    if value is None:
        return SafeString('<span class="text-secondary">–</span>')
    local = timezone.localtime(value)
    title = f"{naturaltime(value)} · {local:%Y-%m-%d %H:%M:%S %Z}"
    return format_html(
        '<time class="text-nowrap" datetime="{}" title="{}">{}</time>',
        value.isoformat(),
        title,
        f"{local:%Y-%m-%d %H:%M}",
    )


@register.inclusion_tag("ui/progress.html")
def progress(done: float, total: float, label: str = "", colour: str = "primary") -> dict[str, object]:
    """Draw how much of `total` is done."""
    percent = min(100.0, 100.0 * done / total) if total else 0.0
    return {"percent": f"{percent:.1f}", "label": label or _("Progress"), "colour": colour}


@register.inclusion_tag("ui/stat.html")
def stat(
    label: str, value: object, *, icon: str = "", colour: str = "primary", hint: str = "", url: str = ""
) -> dict[str, object]:
    """Show one figure on a card; whole numbers get their thousands separated."""
    shown = intcomma(value, use_l10n=False) if isinstance(value, int) else value
    return {"label": label, "value": shown, "icon_name": icon, "colour": colour, "hint": hint, "url": url}


@register.inclusion_tag("ui/form_errors.html")
def form_errors(form: forms.BaseForm) -> dict[str, object]:
    """Show what is wrong with the form as a whole, and with fields nobody sees."""
    hidden = [error for field in form.hidden_fields() for error in field.errors]
    return {"errors": [*form.non_field_errors(), *hidden]}


@register.inclusion_tag("ui/field.html")
def field(bound: BoundField, label: str = "") -> dict[str, object]:
    """Show a form field: label, control, help and errors, tied together for screen readers."""
    widget = bound.field.widget
    has_required = any(other.required for other in bound.form.fields.values())
    return {
        "field": bound,
        "label": label or bound.label,
        "control": control(bound),
        "is_check": isinstance(widget, CHECKS),
        "is_choice": isinstance(widget, CHOICES),
        # A form of filters has only optional fields, a list its own word for none: there "optional" says nothing.
        "is_optional": has_required and not bound.field.required and _css_class(widget) != "form-select",
    }


def control(bound: BoundField) -> SafeString:
    """Return the widget with the classes Bootstrap wants, and its own."""
    widget = bound.field.widget
    classes = [_css_class(widget), *str(widget.attrs.get("class", "")).split()]
    if bound.errors:
        classes.append("is-invalid")
    if isinstance(widget, CHOICES):
        widget.attrs["class"] = " ".join(classes)  # each option draws its own input
        return SafeString("")
    return bound.as_widget(attrs={"class": " ".join(classes)})


def _css_class(widget: forms.Widget) -> str:
    if isinstance(widget, (*CHECKS, *CHOICES)):
        return "form-check-input"
    return "form-select" if isinstance(widget, forms.Select) else "form-control"
