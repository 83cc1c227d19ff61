"""Shapes of input of the sender and tag pages; the rules are the services'."""

from collections.abc import Iterable

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from domains.models import Domain
from senders.models import REPLY_ADDRESS_LENGTH, TAG_LENGTH, Stream, UnsubscribeScope

NO_HELP_FROM_BROWSERS = {"autocapitalize": "none", "autocomplete": "off", "spellcheck": "false"}


class ReplyAddressForm(forms.Form):
    reply_to = forms.CharField(
        label=_("Reply address"),
        max_length=REPLY_ADDRESS_LENGTH,
        required=False,
        help_text=_(
            "Where replies go: an address that receives mail, up to 60 characters. We mail it a link, and use it "
            "once that is confirmed. Without one, you do not get replies."
        ),
        widget=forms.EmailInput,
    )


class SenderForm(ReplyAddressForm):
    """A new sender address; the domains to choose from are the account's verified ones."""

    domain = forms.TypedChoiceField(label=_("Domain"), coerce=int)
    account_part = forms.CharField(
        label=pgettext_lazy("sender address", "Account"),
        max_length=64,
        help_text=_("What stands before the @. It cannot be changed later."),
        widget=forms.TextInput(attrs=NO_HELP_FROM_BROWSERS),
    )
    stream = forms.ChoiceField(
        label=_("Type"),
        choices=[
            (Stream.TRIGGER, _("Triggered mail: codes, receipts, notices that one person waits for")),
            (Stream.BATCH, _("Batch mail: newsletters and announcements to many")),
        ],
        help_text=_("The two are sent apart, so that one never delays or harms the other. It cannot be changed later."),
        widget=forms.RadioSelect,
    )
    field_order = ["domain", "account_part", "stream", "reply_to"]

    def offer(self, domains: Iterable[Domain]) -> None:
        field = self.fields["domain"]
        assert isinstance(field, forms.TypedChoiceField)
        field.choices = [("", _("Choose a domain")), *((domain.pk, domain.display_name) for domain in domains)]


class AnswersForm(forms.Form):
    forwards_replies = forms.BooleanField(
        label=_("Send replies to this address on to the reply address"),
        required=False,
        help_text=_("For readers whose programs do not heed the reply address. Otherwise such replies are refused."),
    )
    unsubscribe_scope = forms.ChoiceField(
        label=_("Who unsubscribes gets no more mail from"),
        choices=UnsubscribeScope.choices,
        widget=forms.RadioSelect,
    )


class CrashForm(forms.Form):
    resends_unknown = forms.BooleanField(
        label=_("Send mails again whose outcome is unknown"),
        required=False,
        help_text=_(
            "When a process of this platform dies between handing a mail over and noting the answer, nobody knows "
            "whether it has arrived. Sent again, it may arrive twice; otherwise it is shown as unknown, and you decide."
        ),
    )


class PasswordForm(forms.Form):
    password = forms.CharField(
        label=_("New SMTP password"),
        max_length=128,
        strip=False,
        help_text=_("10 to 20 characters, with at least two digits, two upper-case and two lower-case letters."),
        widget=forms.PasswordInput(attrs={"autocomplete": "new-password"}),
    )


class TagForm(forms.Form):
    name = forms.CharField(
        label=_("Tag"),
        max_length=TAG_LENGTH,
        help_text=_("Letters, digits, “_” and “-”."),
        widget=forms.TextInput(attrs=NO_HELP_FROM_BROWSERS),
    )
