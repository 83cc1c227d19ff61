"""The page behind the link in the mail to a reply address; whoever has the link needs no login."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods

from accounts.http import client_ip
from mailpush.lib.refusals import Refusal
from senders.services import reply_addresses


@never_cache
@require_http_methods(["GET", "POST"])
def confirm(request: HttpRequest, token: str) -> HttpResponse:
    try:
        if request.method == "POST":
            sender = reply_addresses.confirm(token, now=timezone.now(), ip=client_ip(request))
        else:
            sender = reply_addresses.find(token)
    except Refusal as refusal:
        return render(request, "senders/reply_address.html", {"refusal": refusal.message}, status=404)
    return render(request, "senders/reply_address.html", {"sender": sender})
