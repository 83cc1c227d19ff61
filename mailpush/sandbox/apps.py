"""The sandbox of mailpush."""

from django.apps import AppConfig


class SandboxConfig(AppConfig):
    name = "mailpush.sandbox"
    label = "sandbox"
