"""The sending app."""

from django.apps import AppConfig
from django.utils.translation import pgettext_lazy


class SendingConfig(AppConfig):
    name = "sending"
    verbose_name = pgettext_lazy("app", "Sending")
