"""Shapes of input of the sender and tag pages; the rules are the services'."""

from collections.abc import Iterable, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from domains.models import Domain
from senders.models import (
    CONFIG_SET_LENGTH,
    REPLY_ADDRESS_LENGTH,
    TAG_LENGTH,
    ConfigSet,
    SourcePool,
    Stream,
    UnsubscribeScope,
)

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


# What the examination of an address can say against it, in the words of the APIs; a test holds them to it.
VERDICTS = {
    "INVALID": _("invalid: nobody can be reached there"),
    "DO_NOT_MAIL": _("not to be mailed: it would do you harm"),
    "UNKNOWN": _("unknown: DNS did not answer"),
}
DETAILS = {
    "INVALID_FORMAT": _("it is no e-mail address"),
    "MAILBOX_NOT_FOUND": _("its mailbox has bounced"),
    "NO_DNS_ENTRIES": _("its domain takes no mail"),
    "DNS_TIMEOUT": _("DNS did not answer for its domain"),
    "SUPPRESSED": _("it is suppressed"),
    "DISPOSABLE": _("its mailbox lasts for minutes"),
    "ROLE_BASED": _("it is that of a function, such as info@"),
}


class ConfigSetForm(forms.Form):
    name = forms.CharField(label=_("Name"), max_length=CONFIG_SET_LENGTH)
    description = forms.CharField(label=_("Description"), max_length=CONFIG_SET_LENGTH, required=False)
    pool = forms.TypedChoiceField(
        label=_("Source addresses"),
        coerce=int,
        empty_value=None,
        required=False,
        help_text=_("A pool of the IP addresses that are yours alone; pools are made through the API."),
    )
    is_validating = forms.BooleanField(
        label=_("Examine recipients first, and refuse those chosen below"),
        required=False,
        help_text=_("Holds for mails that programs send one by one through the DirectMail-compatible API."),
    )
    refused_statuses = forms.MultipleChoiceField(
        label=_("Refuse by verdict"), required=False, widget=forms.CheckboxSelectMultiple
    )
    refused_sub_statuses = forms.MultipleChoiceField(
        label=_("Refuse by reason"), required=False, widget=forms.CheckboxSelectMultiple
    )

    def offer(self, pools: Iterable[SourcePool], *, of: ConfigSet | None) -> None:
        """Offer the account's pools, and besides our words those that a program has put into the set."""
        kept = (of.refused_statuses, of.refused_sub_statuses) if of else ([], [])
        choices: dict[str, list[tuple[Any, Any]]] = {
            "pool": [("", _("As for everybody: the platform's own")), *((pool.pk, pool.name) for pool in pools)],
            "refused_statuses": _choices(VERDICTS, kept[0]),
            "refused_sub_statuses": _choices(DETAILS, kept[1]),
        }
        for name, offered in choices.items():
            field = self.fields[name]
            assert isinstance(field, forms.ChoiceField)
            field.choices = offered


def _choices(words: Mapping[str, Any], kept: Iterable[str]) -> list[tuple[Any, Any]]:
    return [*words.items(), *((word, word) for word in kept if word not in words)]


class SenderOfSetForm(forms.Form):
    address = forms.CharField(
        label=_("Sender address"),
        max_length=254,
        widget=forms.EmailInput(attrs={"list": "free", "autocomplete": "off"}),
    )


class TagForm(forms.Form):
    name = forms.CharField(
        label=_("Tag"),
        max_length=TAG_LENGTH,
        help_text=_("Letters, digits, “_” and “-”."),
        widget=forms.TextInput(attrs=NO_HELP_FROM_BROWSERS),
    )
