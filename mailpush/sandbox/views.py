"""The sandbox inbox and the sandbox DNS: what the pretend internet received, and what stands in its zones.

For visitors who sit at this machine, in sandbox mode; before login too, because signing up needs its mail.
"""

import re
from collections.abc import Callable
from dataclasses import replace
from email.message import EmailMessage
from functools import wraps
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from accounts.http import AccountRequest, member_required
from accounts.models import Permission
from domains.models import Domain
from mailpush.lib.visitors import is_local_visitor
from mailpush.sandbox import reading
from mailpush.sandbox.publishing import publish_domain
from mailpush.sandbox.world import KEPT_MAILS, RECORD_TYPES, BadRecord, Mail, World

PAGE_SIZE = 50
TRACKING_HOST = re.compile(r"https?://track\.[^/\s\"'<>]+(?=/t/)")
# The frame may neither run, nor send, nor fetch anything but the pixel of tracked mail: who looks here is its reader.
FRAME_POLICY = (
    f"sandbox; default-src 'none'; img-src data: {settings.MAILPUSH_PUBLIC_URL}/t/; style-src 'unsafe-inline'; "
    "frame-ancestors 'self'"
)

View = Callable[..., HttpResponseBase]


def for_local_visitors(view: View) -> View:
    @wraps(view)
    def wrapper(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        if settings.MAILPUSH_DELIVERY != "sandbox" or not is_local_visitor(request):
            raise Http404
        return view(request, *args, **kwargs)

    return wrapper


# ── Inbox ───────────────────────────────────────────────────────────────────────────────────────


@require_safe
@for_local_visitors
def inbox(request: HttpRequest) -> HttpResponse:
    world = _world()
    search = request.GET.get("q", "").strip()
    page = Paginator(world.mails(search=search, limit=KEPT_MAILS), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {"page": page, "search": search, "count": world.mail_count(), "kept": KEPT_MAILS}
    return _page(request, "sandbox/mails.html" if "HX-Request" in request.headers else "sandbox/inbox.html", context)


@require_safe
@for_local_visitors
def mail(request: HttpRequest, pk: int) -> HttpResponse:
    found, message = _mail(pk)
    text = reading.body(message, "plain")
    context = {
        "mail": found,
        "headers": reading.headers(message),
        "text": text,
        "has_html": bool(reading.body(message, "html")),
        "links": [replace(link, url=_reachable(link.url)) for link in reading.links(message)],
        "attachments": reading.attachments(message),
    }
    return _page(request, "sandbox/mail.html", context)


@require_safe
@for_local_visitors
def mail_html(_request: HttpRequest, pk: int) -> HttpResponse:
    """Show the HTML part alone, for the sandboxed frame."""
    _found, message = _mail(pk)
    html = _reachable(reading.body(message, "html"))
    return HttpResponse(html, headers={"Content-Security-Policy": FRAME_POLICY})


@require_safe
@for_local_visitors
def mail_source(_request: HttpRequest, pk: int) -> HttpResponse:
    found, _message = _mail(pk)
    return HttpResponse(
        found.raw,
        content_type="message/rfc822",
        headers={"Content-Disposition": f'attachment; filename="mail-{found.id}.eml"'},
    )


def _reachable(text: str) -> str:
    """Let tracked links and pixels lead to a host that a visitor's browser knows, as it does not ask our DNS."""
    return TRACKING_HOST.sub(settings.MAILPUSH_PUBLIC_URL, text)


def _mail(pk: int) -> tuple[Mail, EmailMessage]:
    found = _world().mail(pk)
    if found is None:
        raise Http404
    return found, reading.parsed(found.raw)


# ── DNS ─────────────────────────────────────────────────────────────────────────────────────────


@require_safe
@for_local_visitors
def zone(request: HttpRequest) -> HttpResponse:
    search = request.GET.get("q", "").strip()
    page = Paginator(_world().records(containing=search), PAGE_SIZE).get_page(request.GET.get("page"))
    context = {
        "page": page,
        "search": search,
        "types": RECORD_TYPES,
        "port": settings.SANDBOX_PORTS.dns,
        # Other pages link here with a record to publish.
        "draft": {name: request.GET.get(name, "") for name in ("name", "type", "value")},
    }
    return _page(request, "sandbox/zone.html", context)


@require_POST
@for_local_visitors
def record_publish(request: HttpRequest) -> HttpResponse:
    try:
        record = _world().publish(*(request.POST.get(name, "") for name in ("name", "type", "value")))
    except BadRecord as refusal:
        messages.error(request, str(refusal))
    else:
        messages.success(
            request, _("%(name)s has the %(type)s record now.") % {"name": record.name, "type": record.type}
        )
    return redirect("sandbox:zone")


@require_POST
@for_local_visitors
@member_required(Permission.SETUP)
def domain_publish(request: AccountRequest, domain_pk: int) -> HttpResponse:
    domain = get_object_or_404(Domain.objects.for_account(request.account), pk=domain_pk)
    count = publish_domain(domain, _world())
    messages.success(
        request,
        _("The sandbox's DNS now has the %(count)s records of %(name)s. Press Verify.")
        % {"count": count, "name": domain.display_name},
    )
    return redirect("domains:detail", pk=domain.pk)


@require_POST
@for_local_visitors
def record_withdraw(request: HttpRequest) -> HttpResponse:
    try:
        count = _world().withdraw(*(request.POST.get(name, "") for name in ("name", "type", "value")))
    except BadRecord:
        count = 0
    if count:
        messages.success(request, _("The record is gone."))
    else:
        messages.info(request, _("There was no such record any more."))
    return redirect("sandbox:zone")


def _page(request: HttpRequest, name: str, context: dict[str, Any]) -> HttpResponse:
    """Render inside the console for who is logged in, else in a frame without its navigation."""
    frame = "console.html" if request.user.is_authenticated else "sandbox/frame.html"
    return render(request, name, {**context, "frame": frame})


def _world() -> World:
    return World(settings.PLACES.sandbox)
