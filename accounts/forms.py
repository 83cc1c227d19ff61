"""Shapes of input of the account's pages; the rules are the services'."""

import re
from typing import Any

from django import forms
from django.conf import settings
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from accounts.models import NAME_LENGTH, Role, Scope
from accounts.services import time_zones


def _time_zones() -> list[tuple[str, str]]:
    return [(name, name.replace("_", " ")) for name in time_zones.known()]


def _languages() -> list[tuple[str, object]]:
    return [("", _("As the browser asks")), *settings.LANGUAGES]


class Lines(forms.CharField):
    """Entries one in each line, or with commas between them."""

    widget = forms.Textarea

    def to_python(self, value: Any) -> Any:
        return [entry for entry in re.split(r"[\s,]+", super().to_python(value) or "") if entry]

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(value) if isinstance(value, list) else value


def _scopes() -> forms.MultipleChoiceField:
    return forms.MultipleChoiceField(
        label=_("Only for"),
        choices=Scope.choices,
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_("Parts of the REST API. None chosen: all that its role allows."),
    )


def _networks() -> Lines:
    return Lines(
        label=_("Only from"),
        required=False,
        widget=forms.Textarea(attrs={"rows": 2}),
        help_text=_("IP addresses and networks such as 192.0.2.0/24, one in each line. Empty: from anywhere."),
    )


class AccountForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=NAME_LENGTH)
    time_zone = forms.ChoiceField(
        label=_("Time zone of quota and statistics"),
        choices=_time_zones,
        help_text=_("Days begin at midnight here."),
    )
    directmail_replies = forms.BooleanField(
        label=_("DirectMail's reply codes over SMTP"),
        required=False,
        help_text=_("For programs written for DirectMail that look for its numbers, such as 436 or 563."),
    )


class ProfileForm(forms.Form):
    name = forms.CharField(label=pgettext_lazy("person", "Name"), max_length=NAME_LENGTH, required=False)
    language = forms.ChoiceField(label=_("Language"), choices=_languages, required=False)
    time_zone = forms.ChoiceField(
        label=_("Time zone"), choices=_time_zones, help_text=_("Times on the pages are shown in it.")
    )


class InvitationForm(forms.Form):
    email = forms.EmailField(label=_("E-mail address"))
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices, initial=Role.DEVELOPER)


class RoleForm(forms.Form):
    role = forms.ChoiceField(label=_("Role"), choices=Role.choices)


class AccessKeyForm(forms.Form):
    label = forms.CharField(
        label=_("Label"),
        max_length=64,
        required=False,
        help_text=_("What uses it, for example “shop” or “nightly job”."),
    )
    role = forms.ChoiceField(
        label=_("Role"),
        choices=Role.choices,
        initial=Role.DEVELOPER,
        help_text=_("What the program may do, as for a member. It goes no further than your own role."),
    )
    scopes = _scopes()
    networks = _networks()


class RestrictionForm(forms.Form):
    """What an access key is restricted to."""

    scopes = _scopes()
    networks = _networks()


class AllowedAddressForm(forms.Form):
    address = forms.CharField(
        label=_("Address, range or network"),
        max_length=100,
        help_text=_("For example 192.0.2.7, 192.0.2.1-192.0.2.9, 192.0.2.0/24 or 2001:db8::/32."),
        widget=forms.TextInput(attrs={"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}),
    )


class OpenAccountForm(forms.Form):
    name = forms.CharField(label=_("Name of the account"), max_length=NAME_LENGTH)


class AuditFilterForm(forms.Form):
    """Every field empty: the whole log."""

    q = forms.CharField(label=_("Who or which"), required=False)
    action = forms.CharField(label=_("What"), required=False)
    since = forms.DateField(
        label=pgettext_lazy("day", "From"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
    until = forms.DateField(
        label=pgettext_lazy("day", "To"), required=False, widget=forms.DateInput(attrs={"type": "date"})
    )
