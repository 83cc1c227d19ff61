"""The view that all others of the REST API are."""

import json
from collections.abc import Callable
from functools import wraps
from typing import Any, ClassVar

from django.db import transaction
from django.http import HttpResponseBase
from django.utils import timezone
from django.utils.translation import gettext as _
from rest_framework.exceptions import NotAuthenticated
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from accounts.actors import Actor
from accounts.api import bodies
from accounts.api.authentication import BearerKey, Caller
from accounts.api.errors import Problem
from accounts.models import Account, Scope
from accounts.services import idempotency
from mailpush.lib import rates

MINUTE = 60  # seconds; the window of an account's rate
IDEMPOTENCY_HEADER = "HTTP_IDEMPOTENCY_KEY"
RENDERER = JSONRenderer()


class ApiView(APIView):
    """Lets access keys in that reach this part of the API, counts their calls, and repeats answers.

    A handler works in a transaction of its own where the call has an Idempotency-Key, so that its deed and its
    answer are kept together; where it must not, as it asks the network, `is_atomic` is false.
    """

    http_method_names = ["get", "head", "post", "put", "patch", "delete"]
    authentication_classes = [BearerKey]
    permission_classes = []
    scope: ClassVar[Scope]
    is_atomic: ClassVar[bool] = True
    is_bounded: ClassVar[bool] = True  # false where a file is uploaded, which has a limit of its own
    rate: rates.Rate | None = None

    @property
    def caller(self) -> Caller:
        assert isinstance(self.request.user, Caller)
        return self.request.user

    @property
    def actor(self) -> Actor:
        return self.caller.actor

    @property
    def account(self) -> Account:
        return self.actor.account

    def scope_of(self, _method: str) -> Scope | None:
        """Return what a key must reach for this method; None lets every key in."""
        return self.scope

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Let the caller in, before anything of the body is read."""
        super().initial(request, *args, **kwargs)
        if not isinstance(request.user, Caller):
            raise NotAuthenticated(_("Send an access key: Authorization: Bearer <id>.<secret>"))
        self._must_reach(request)
        self._count()
        if self.is_bounded:
            bodies.must_be_of_size(request)

    def finalize_response(self, request: Request, response: Any, *args: Any, **kwargs: Any) -> Any:
        if self.rate:
            response["RateLimit-Limit"] = str(self.rate.limit)
            response["RateLimit-Remaining"] = str(self.rate.left)
            response["RateLimit-Reset"] = str(self.rate.resets_in)
            if self.rate.is_exceeded:
                response["Retry-After"] = str(self.rate.resets_in)
        response["Cache-Control"] = "no-store"
        return super().finalize_response(request, response, *args, **kwargs)

    def _must_reach(self, request: Request) -> None:
        scope = self.scope_of(request.method or "")
        if scope is not None and not self.caller.key.reaches(scope):
            raise Problem(
                403, "scope_missing", _("This access key is not for this: it lacks the scope “%s”.") % scope.value
            )

    def _count(self) -> None:
        limit = self.account.requests_a_minute
        self.rate = rates.count(f"api:{self.account.pk}", limit=limit, window=MINUTE, now=timezone.now().timestamp())
        if self.rate and self.rate.is_exceeded:
            raise Problem(
                429,
                "too_many_requests",
                _("Your programs have made more than %(limit)s requests in this minute. Go on in %(seconds)s seconds.")
                % {"limit": f"{limit:,}", "seconds": self.rate.resets_in},
            )


Handler = Callable[..., HttpResponseBase]


def repeatable(handler: Handler) -> Handler:
    """Let a handler's call carry an Idempotency-Key: made again, it has the first answer again."""

    @wraps(handler)
    def wrapper(view: ApiView, request: Request, *args: Any, **kwargs: Any) -> HttpResponseBase:
        key = request.META.get(IDEMPOTENCY_HEADER)
        if key is None:
            return handler(view, request, *args, **kwargs)
        asked = idempotency.fingerprint(
            *(part.encode() for part in (request.method or "", request.get_full_path(), request.content_type or "")),
            bodies.raw_body(request),
        )
        claimed = idempotency.claim(view.account, key, asked, now=timezone.now())
        if isinstance(claimed, idempotency.Answer):
            return Response(claimed.body, status=claimed.status, headers={"Idempotency-Replayed": "true"})
        return _worked(view, claimed, lambda: handler(view, request, *args, **kwargs))

    wrapper.is_repeatable = True  # type: ignore[attr-defined] # so that the description tells of the header
    return wrapper


def _worked(view: ApiView, claimed: idempotency.Claim, work: Callable[[], HttpResponseBase]) -> HttpResponseBase:
    """Do the work and keep its answer; one that failed leaves the key free."""
    try:
        if view.is_atomic:
            with transaction.atomic():
                return _kept(claimed, work())
        return _kept(claimed, work())
    except BaseException:
        idempotency.release(claimed)
        raise


def _kept(claimed: idempotency.Claim, response: HttpResponseBase) -> HttpResponseBase:
    assert isinstance(response, Response)
    # As the renderer writes it: moments and the like are text in what is kept.
    body = json.loads(RENDERER.render(response.data)) if response.data is not None else None
    idempotency.complete(claimed, idempotency.Answer(response.status_code, body))
    return response
