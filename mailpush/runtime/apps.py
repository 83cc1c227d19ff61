"""The runtime of mailpush."""

from django.apps import AppConfig
from django.core.checks import register


class RuntimeConfig(AppConfig):
    name = "mailpush.runtime"
    label = "runtime"

    def ready(self) -> None:
        from mailpush.runtime.going_live import names_in_dns  # noqa: PLC0415 the settings are read first

        register(names_in_dns, deploy=True)
