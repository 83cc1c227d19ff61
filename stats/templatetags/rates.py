"""How rates are shown."""

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

register = template.Library()


@register.simple_tag
def rate(ratio: float) -> SafeString:
    """Show a ratio as percent; pointing at it tells the ratio as exactly as the manual does."""
    percent = _("%(percent)s %%") % {"percent": f"{100 * ratio:.2f}"}
    return format_html('<span class="text-nowrap" title="{}">{}</span>', f"{ratio:.9f}", percent)
