"""The doors that tracked mail leads to: a pixel, and links that lead on. No login, no cookie.

They answer under names that are not ours, too: customers' tracking hosts lead here, and old mails to hosts that were
verified once. What lets in is the signed token; a link leads on only under the name that it was made for, or ours.
"""

from base64 import b64decode

from django.http import HttpRequest, HttpResponse
from django.http.request import split_domain_port
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from mailpush.lib.tokens import BadToken
from sending import tracking
from sending.services import readings

PIXEL = b64decode("R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAICRAEAOw==")  # 43 bytes: one transparent dot
HEADERS = {"Referrer-Policy": "no-referrer", "X-Content-Type-Options": "nosniff", "X-Robots-Tag": "noindex"}
LOOPBACK = {"127.0.0.1", "::1"}


@never_cache
@require_safe
def pixel(request: HttpRequest, token: str) -> HttpResponse:
    try:
        if request.method == "HEAD":
            tracking.message_of(token)
        else:
            readings.note_open(token, reader=tracking.reader_of(request.headers), now=timezone.now())
    except BadToken:
        return unknown(request)
    return HttpResponse(PIXEL, content_type="image/gif", headers=HEADERS | {"Content-Length": str(len(PIXEL))})


@never_cache
@require_safe
def link(request: HttpRequest, token: str, sealed: str) -> HttpResponse:
    reader = "" if request.method == "HEAD" else tracking.reader_of(request.headers)
    try:
        address = readings.follow(token, sealed, host=_host(request), reader=reader, now=timezone.now())
    except BadToken:
        return unknown(request)
    except readings.NotNow:
        return _said(request, "sending/link_later.html", status=503)
    return HttpResponse(status=302, headers=HEADERS | {"Location": address, "Content-Length": "0"})


@never_cache
@require_safe
def may_have_certificate(request: HttpRequest) -> HttpResponse:
    """Tell a TLS proxy on this machine whether to get a certificate for `?domain=…`, as Caddy asks."""
    host = request.GET.get("domain", "").lower().replace("\0", "")
    if request.META.get("REMOTE_ADDR") in LOOPBACK and tracking.leads_here(host):
        return HttpResponse("yes\n", content_type="text/plain")
    return unknown(request)


def _host(request: HttpRequest) -> str:
    """Return the name a request came under, whoever's it is; `get_host` lets ours alone pass."""
    return split_domain_port(request.META.get("HTTP_HOST") or request.META["SERVER_NAME"])[0]


@never_cache
def unknown(request: HttpRequest) -> HttpResponse:
    """Tell a reader that this leads nowhere."""
    return _said(request, "sending/link_unknown.html", status=404)


def _said(request: HttpRequest, page: str, *, status: int) -> HttpResponse:
    response = render(request, page, status=status)
    for name, value in HEADERS.items():
        response[name] = value
    return response
