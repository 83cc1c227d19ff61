"""The runtime of mailpush."""

from django.apps import AppConfig


class RuntimeConfig(AppConfig):
    name = "mailpush.runtime"
    label = "runtime"
