"""The DirectMail-compatible API of mailpush."""

from django.apps import AppConfig


class RpcConfig(AppConfig):
    name = "mailpush.rpc"
    label = "rpc"
