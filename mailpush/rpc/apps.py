"""The DirectMail-compatible API of mailpush."""

from django.apps import AppConfig
from django.utils.translation import gettext_lazy as _


class RpcConfig(AppConfig):
    name = "mailpush.rpc"
    label = "rpc"
    verbose_name = _("DirectMail-compatible API")
