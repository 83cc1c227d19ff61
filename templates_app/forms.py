"""Shapes of input of the template pages and the review desk; the rules are the services'."""

import re
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from mailpush.mail.variables import VARIABLES
from templates_app.models import NAME_LENGTH, SENDER_NAME_LENGTH, SUBJECT_LENGTH
from templates_app.services.templates import BODY_BYTES, Draft

VISUAL, SOURCE = "visual", "source"
# What the visual editor, which edits the inside of <body>, would lose.
WHOLE_DOCUMENT = re.compile(r"<!doctype|<html|<head|<body|<style|<!--\[if", re.IGNORECASE)


class TemplateForm(forms.Form):
    """The template as its author writes it, in the visual editor or as HTML source."""

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
    html = forms.CharField(label=_("HTML body"), required=False, strip=False)
    text = forms.CharField(
        label=_("Text part"),
        required=False,
        strip=False,
        help_text=_("For readers without HTML. Left empty, it is derived from the HTML body."),
        widget=forms.Textarea(attrs={"rows": 6}),
    )
    seen = forms.CharField(required=False, widget=forms.HiddenInput)  # hash of the content the author began with
    editor = forms.ChoiceField(choices=[(VISUAL, ""), (SOURCE, "")], required=False, widget=forms.HiddenInput)

    def __init__(self, *args: Any, editor: str = VISUAL, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.is_source = editor == SOURCE
        self.initial["editor"] = editor
        self.fields["html"].widget = forms.Textarea(attrs=_source_box() if self.is_source else _visual_box())

    def draft(self) -> Draft:
        """Return the input with the line ends of forms (CRLF) made one."""
        names = ("name", "subject", "sender_name", "html", "text")
        return Draft(**{name: self.cleaned_data[name].replace("\r\n", "\n") for name in names})


def _visual_box() -> dict[str, str]:
    return {"rows": "18", "data-editor": "", "data-variables": ",".join(VARIABLES)}


def _source_box() -> dict[str, str]:
    return {"rows": "26", "class": "font-monospace", "spellcheck": "false", "autocapitalize": "none"}


def editor_for(html: str) -> str:
    """Return the editor that keeps all of the HTML."""
    return SOURCE if WHOLE_DOCUMENT.search(html[:BODY_BYTES]) else VISUAL


class DecisionForm(forms.Form):
    content_hash = forms.CharField(widget=forms.HiddenInput)
    reason = forms.CharField(
        label=_("What has to change"),
        required=False,
        max_length=2000,
        help_text=_("The author reads this. Needed to reject."),
        widget=forms.Textarea(attrs={"rows": 5}),
    )
