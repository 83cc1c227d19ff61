"""Shapes of input of the template pages and the review desk; the rules are the services'."""

from django import forms
from django.utils.translation import gettext_lazy as _

from mailpush.mail.variables import VARIABLES
from templates_app.models import NAME_LENGTH, SENDER_NAME_LENGTH, SUBJECT_LENGTH
from templates_app.services.templates import Draft


class TemplateForm(forms.Form):
    name = forms.CharField(
        label=_("Name"),
        max_length=NAME_LENGTH,
        help_text=_("1 to 64 letters, digits or “-”. Programs call the template by it."),
    )
    subject = forms.CharField(
        label=_("Subject"), max_length=SUBJECT_LENGTH, help_text=_("Up to 100 characters; variables may stand in it.")
    )
    sender_name = forms.CharField(
        label=_("Sender name"),
        max_length=SENDER_NAME_LENGTH,
        help_text=_("What readers see before the sender address."),
    )
    html = forms.CharField(
        label=_("HTML body"),
        required=False,
        strip=False,
        widget=forms.Textarea(attrs={"rows": 18, "data-editor": "", "data-variables": ",".join(VARIABLES)}),
    )
    text = forms.CharField(
        label=_("Text part"),
        required=False,
        strip=False,
        help_text=_("For readers without HTML. Left empty, it is derived from the HTML body."),
        widget=forms.Textarea(attrs={"rows": 6}),
    )

    def draft(self) -> Draft:
        """Return the input with the line ends of forms (CRLF) made one."""
        values = {name: value.replace("\r\n", "\n") for name, value in self.cleaned_data.items()}
        return Draft(**values)


class DecisionForm(forms.Form):
    content_hash = forms.CharField(widget=forms.HiddenInput)
    reason = forms.CharField(
        label=_("What has to change (for a rejection)"),
        required=False,
        max_length=2000,
        widget=forms.Textarea(attrs={"rows": 4, "cols": 60}),
    )
