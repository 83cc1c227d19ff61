"""Shapes of input of the sending pages; the rules are the services'."""

import zoneinfo
from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext, pgettext_lazy

from accounts.models import Account
from domains.models import Domain
from recipients.models import RecipientList
from senders.models import Sender, Stream, Tag
from sending.models import AddressType, EventKind
from sending.models.webhook import URL_LENGTH
from templates_app.models import Template

NOW, LATER = "now", "later"


class ListField(forms.ModelChoiceField):  # type: ignore[type-arg] # generic for the type checker alone
    def label_from_instance(self, obj: RecipientList) -> str:
        count = ngettext("%(count)s recipient", "%(count)s recipients", obj.count) % {"count": f"{obj.count:,}"}
        return f"{obj.name} ({count})"


class TemplateField(forms.ModelChoiceField):  # type: ignore[type-arg]
    def label_from_instance(self, obj: Template) -> str:
        return f"{obj.name}: {obj.approved.subject}" if obj.approved else obj.name


class OrderForm(forms.Form):
    """A new send task (manual, "New send task"), with what the account has to choose from."""

    list = ListField(RecipientList.objects.none(), label=_("Recipient list"), empty_label=_("Choose a list"))
    template = TemplateField(
        Template.objects.none(),
        label=_("Template"),
        empty_label=_("Choose a template"),
        help_text=_("Approved templates. What is sent is the version that was approved."),
    )
    sender = forms.ModelChoiceField(
        Sender.objects.none(),
        label=_("Sender address"),
        empty_label=_("Choose a sender address"),
        help_text=_("Addresses of type batch on verified domains."),
    )
    address_type = forms.ChoiceField(
        label=_("Address type"),
        choices=[
            (AddressType.RANDOM, _("Random address (recommended)")),
            (AddressType.SENDER, _("Sender address only")),
        ],
        initial=AddressType.RANDOM,
        widget=forms.RadioSelect,
        help_text=_(
            "With a random address each mail gets a return address of its own, beside the sender address that readers "
            "see: bounces that come back later can be followed to their recipient."
        ),
    )
    tag = forms.ModelChoiceField(
        Tag.objects.none(),
        label=_("Tag"),
        required=False,
        empty_label=_("No tag"),
        help_text=_("Sorts this send in the statistics."),
    )
    is_tracked = forms.BooleanField(
        label=_("Count opens and clicks"),
        required=False,
        help_text=_(
            "Links of the HTML then lead through us, and a picture of one dot is added; links with the attribute "
            "data-no-track stay as they are. It tells of each reader, so your privacy notice must say so."
        ),
    )
    when = forms.ChoiceField(
        label=_("When"),
        choices=[(NOW, _("Now")), (LATER, _("At a time"))],
        initial=NOW,
        widget=forms.RadioSelect,
    )
    at = forms.DateTimeField(
        label=pgettext_lazy("to begin", "Time"),
        required=False,
        widget=forms.DateTimeInput(attrs={"type": "datetime-local"}, format="%Y-%m-%dT%H:%M"),
    )

    def offer(self, account: Account) -> None:
        """Let the form choose from what this account has."""
        self._set("list", RecipientList.objects.for_account(account).order_by("name"))
        self._set("template", approved_templates(account).order_by("name"))
        self._set("sender", batch_senders(account).order_by("address"))
        self._set("tag", Tag.objects.for_account(account).order_by("name"))
        zone = timezone.get_current_timezone()
        name = zone.key if isinstance(zone, zoneinfo.ZoneInfo) else str(zone)
        self.fields["at"].help_text = _("In your time zone, %(zone)s.") % {"zone": name}

    def _set(self, name: str, rows: Any) -> None:
        field = self.fields[name]
        assert isinstance(field, forms.ModelChoiceField)
        field.queryset = rows

    def clean(self) -> dict[str, Any]:
        cleaned = super().clean() or {}
        if cleaned.get("when") != LATER:
            cleaned["at"] = None
        elif not cleaned.get("at") and "at" not in self.errors:
            self.add_error("at", _("Say when the batch is to be sent."))
        return cleaned


def approved_templates(account: Account) -> Any:
    return Template.objects.filter(account=account, approved__isnull=False).select_related("approved")


def batch_senders(account: Account) -> Any:
    """Return the senders that may send a batch at present."""
    return (
        Sender.objects.for_account(account)
        .filter(stream=Stream.BATCH, is_frozen=False, domain__in=Domain.objects.usable())
        .select_related("account", "domain")
    )


class WebhookForm(forms.Form):
    url = forms.CharField(
        label=_("Address"),
        max_length=URL_LENGTH,
        widget=forms.URLInput(attrs={"placeholder": "https://shop.example.com/mail-events"}),
        help_text=_("We POST to it what has happened, as JSON, signed as Standard Webhooks has it."),
    )
    kinds = forms.MultipleChoiceField(label=_("Events"), choices=EventKind.choices, widget=forms.CheckboxSelectMultiple)
