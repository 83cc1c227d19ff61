"""Shapes of input of the lists' pages; the rules are the services'."""

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from mailpush.mail.variables import LENGTHS
from recipients.models import LIST_NAME_LENGTH

# What the manual calls the variables.
VARIABLE_LABELS = {
    "UserName": pgettext_lazy("person", "Name"),
    "NickName": _("Nickname"),
    "Gender": _("Salutation"),
    "Birthday": _("Birthday"),
    "Mobile": _("Mobile phone"),
}


class ListForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=LIST_NAME_LENGTH)
    alias = forms.CharField(
        label=_("Alias address"),
        max_length=254,
        help_text=_("An e-mail address that names the list in API and SMTP calls, such as customers@example.com."),
    )
    description = forms.CharField(label=_("Description"), max_length=200, required=False)


class RecipientForm(forms.Form):
    address = forms.CharField(label=_("E-mail address"), max_length=320)
    UserName = forms.CharField(label=VARIABLE_LABELS["UserName"], max_length=LENGTHS["UserName"], required=False)
    NickName = forms.CharField(label=VARIABLE_LABELS["NickName"], max_length=LENGTHS["NickName"], required=False)
    Gender = forms.CharField(label=VARIABLE_LABELS["Gender"], max_length=LENGTHS["Gender"], required=False)
    Birthday = forms.CharField(label=VARIABLE_LABELS["Birthday"], max_length=LENGTHS["Birthday"], required=False)
    Mobile = forms.CharField(label=VARIABLE_LABELS["Mobile"], max_length=LENGTHS["Mobile"], required=False)

    @property
    def variables(self) -> dict[str, str]:
        return {name: self.cleaned_data[name] for name in LENGTHS}


class UploadForm(forms.Form):
    file = forms.FileField(
        label=_("Recipient list (txt or csv)"),
        widget=forms.FileInput(attrs={"accept": ".txt,.csv,.tsv,text/plain,text/csv"}),
        error_messages={"empty": _("The file is empty. Choose a txt or csv file with one recipient in each line.")},
    )


class SuppressionForm(forms.Form):
    addresses = forms.CharField(
        label=_("Addresses"),
        widget=forms.Textarea(attrs={"rows": 4}),
        help_text=_("One in each line. None of your senders will write to them."),
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False)

    @property
    def lines(self) -> list[str]:
        return [line.strip() for line in self.cleaned_data["addresses"].splitlines() if line.strip()]


class SuppressionFileForm(forms.Form):
    file = forms.FileField(
        label=_("File of addresses (txt or csv)"),
        widget=forms.FileInput(attrs={"accept": ".txt,.csv,.tsv,text/plain,text/csv"}),
        help_text=_("One address in each line, or a csv file with a column {EAddr}. Up to 200,000 lines."),
        error_messages={"empty": _("The file is empty. Choose a txt or csv file with one address in each line.")},
    )
    note = forms.CharField(label=_("Note"), max_length=500, required=False)


class RemovalForm(forms.Form):
    note = forms.CharField(
        label=_("Why it may get mail again"),
        max_length=500,
        help_text=_("Kept in the audit log, for example: asked for it by phone."),
    )
