"""What pages know of their visitor: account, membership and actor of the request."""

import ipaddress
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any, Concatenate

from django import forms
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect

from accounts.actors import Actor
from accounts.models import Account, Membership, Permission, User
from mailpush.lib.refusals import Refusal

SESSION_ACCOUNT = "account_id"  # which of their accounts the user works in
LOOPBACK = {"127.0.0.1", "::1"}


class AccountRequest(HttpRequest):
    """A request of a logged-in member; `TenantMiddleware` sets these."""

    user: User
    account: Account
    memberships: list[Membership]  # all the user's own, to switch between
    membership: Membership
    actor: Actor


View = Callable[Concatenate[AccountRequest, ...], HttpResponseBase]


def member_required(permission: Permission = Permission.VIEW) -> Callable[[View], Callable[..., HttpResponseBase]]:
    """Let only members of an account in, with the right to `permission`."""

    def decorate(view: View) -> Callable[..., HttpResponseBase]:
        @wraps(view)
        @login_required
        def wrapper(request: Any, *args: Any, **kwargs: Any) -> HttpResponseBase:
            if request.actor is None:
                return redirect("accounts:none")
            if not request.actor.may(permission):
                raise PermissionDenied
            return view(request, *args, **kwargs)

        return wrapper

    return decorate


@contextmanager
def reporting(request: HttpRequest, done: str, *, form: forms.Form | None = None) -> Iterator[None]:
    """Tell the visitor that the deed is done, or show the service's refusal: at the form's field, or above the page."""
    try:
        yield
    except Refusal as refusal:
        if form is None:
            messages.error(request, refusal.message)
        else:
            form.add_error(refusal.field if refusal.field in form.fields else None, refusal.message)
    else:
        messages.success(request, done)


def current_membership(request: Any) -> Membership | None:
    """Return the membership chosen in this session, or the user's first; never one that was taken away."""
    chosen = request.session.get(SESSION_ACCOUNT)
    found = (membership for membership in request.memberships if membership.account_id == chosen)
    return next(found, None) or next(iter(request.memberships), None)


def client_ip(request: HttpRequest) -> str | None:
    """Return the peer's address.

    Forwarded headers are not believed, as anyone can send them: save the last entry that our own TLS proxy on this
    machine has added.
    """
    peer: str | None = request.META.get("REMOTE_ADDR") or None
    if settings.HTTPS and peer in LOOPBACK:
        forwarded: str = request.META.get("HTTP_X_FORWARDED_FOR", "").rpartition(",")[2].strip()
        return forwarded if _is_ip(forwarded) else peer
    return peer


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True
