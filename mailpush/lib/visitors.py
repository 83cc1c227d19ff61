"""Where a request comes from."""

from django.http import HttpRequest
from django.http.request import split_domain_port


def is_local_visitor(request: HttpRequest) -> bool:
    """Return whether the visitor sits at this machine: loopback peer, loopback name, no proxy between."""
    forwarded = any(name in request.META for name in ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP"))
    host, _port = split_domain_port(request.get_host())
    return (
        not forwarded
        and request.META.get("REMOTE_ADDR") in {"127.0.0.1", "::1"}
        and host.strip("[]") in {"localhost", "127.0.0.1", "::1"}
    )
