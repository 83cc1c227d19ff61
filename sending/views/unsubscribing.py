"""The page behind List-Unsubscribe (RFC 8058): no login, no cookie, nothing noted about the visitor.

A GET changes nothing, because link scanners follow every link. A mail program's POST of
`List-Unsubscribe=One-Click` unsubscribes at once; a reader does it with the button on the page.
"""

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import require_http_methods

from mailpush.lib.tokens import BadToken
from sending.services import unsubscribing

HEADERS = {"Referrer-Policy": "no-referrer", "X-Robots-Tag": "noindex"}


@csrf_exempt  # mail programs have no cookie; the signed token is the right to it
@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest, token: str) -> HttpResponse:
    try:
        subscription = unsubscribing.find(token)
    except BadToken:
        return render(request, "sending/unsubscribe.html", {"subscription": None}, status=404)
    if request.method != "POST":
        return _show(request, subscription)
    is_one_click = request.POST.get("List-Unsubscribe") == "One-Click"
    if "undo" in request.POST and not is_one_click:
        unsubscribing.restore(subscription, now=timezone.now())
    else:
        unsubscribing.end(subscription, via="one-click" if is_one_click else "page", now=timezone.now())
    if is_one_click:  # must not be redirected (RFC 8058 section 3.1)
        return HttpResponse(_("Unsubscribed.") + "\n", content_type="text/plain; charset=utf-8")
    return HttpResponseRedirect(request.path)


def _show(request: HttpRequest, subscription: unsubscribing.Subscription) -> HttpResponse:
    context = {
        "subscription": subscription,
        "masked": masked(subscription.recipient),
        "has_ended": unsubscribing.has_ended(subscription),
        "may_restore": unsubscribing.may_restore(subscription),
    }
    response = render(request, "sending/unsubscribe.html", context)
    for name, value in HEADERS.items():
        response[name] = value
    return response


def masked(address: str) -> str:
    """Return enough of an address for its owner to know it, and not for others."""
    local, _at, domain = address.rpartition("@")
    return f"{local[:1]}•••{local[-1:] if len(local) > 3 else ''}@{domain}"  # noqa: PLR2004 - a short one would show
