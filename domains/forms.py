"""Shapes of input of the domain pages; the rules are the services'."""

from django import forms
from django.utils.translation import gettext_lazy as _


class DomainForm(forms.Form):
    name = forms.CharField(
        label=_("Domain"),
        max_length=255,
        help_text=_("For example mail.example.com. Names in other scripts are welcome."),
        widget=forms.TextInput(attrs={"autofocus": True, "autocapitalize": "none", "spellcheck": "false"}),
    )
