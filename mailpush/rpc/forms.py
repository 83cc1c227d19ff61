"""What is typed into the pages about the API."""

from django import forms
from django.utils.translation import gettext_lazy as _

from mailpush.rpc.checking import LONGEST


class SignatureForm(forms.Form):
    request = forms.CharField(
        label=_("The request, as your program sends it"),
        max_length=LONGEST,
        strip=False,
        help_text=_("Request line, headers, an empty line, body. A URL behind GET or POST is enough without headers."),
        widget=forms.Textarea(attrs={"rows": 12, "class": "font-monospace", "spellcheck": "false"}),
    )
    own = forms.CharField(
        label=_("The string that your program has signed"),
        required=False,
        max_length=LONGEST,
        strip=False,
        help_text=_("Only if you can print it. For V3, the canonical request."),
        widget=forms.Textarea(attrs={"rows": 6, "class": "font-monospace", "spellcheck": "false"}),
    )
