"""What is said when a call cannot be done: `{"code", "message", "field"}`, whatever went wrong.

`code` is for programs, `message` says what to do about it, `field` names the input at fault and is empty where
there is none: `to[3].address` is the fourth recipient's address.
"""

import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any

from django.db import InterfaceError, OperationalError
from django.http import Http404, HttpRequest, JsonResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.csrf import csrf_exempt
from redis import RedisError
from rest_framework import exceptions
from rest_framework.response import Response

from accounts.quotas import QuotaSpent
from mailpush.lib.refusals import Refusal

log = logging.getLogger(__name__)

REFUSED = 422
AGAIN_AFTER = 10  # seconds; a database that restarts is back by then
# Refusals by their code; every other one says that a value is wrong.
STATUSES = {
    **dict.fromkeys(
        ("not_allowed", "not_an_operator", "role_too_high"),
        403,
    ),
    **dict.fromkeys(
        (
            *("address_exists", "domain_exists", "domain_in_use", "domain_taken", "list_exists", "name_taken"),
            *("recipient_exists", "tag_exists", "being_checked", "list_busy", "wrong_state", "changed_meanwhile"),
            *("idempotency_key_reused", "idempotency_call_in_flight", "not_waiting", "too_many_imports", "nobody_left"),
            "reply_address_nothing_to_confirm",
        ),
        409,
    ),
    **dict.fromkeys(("quota_spent", "reply_address_asked_just_now", "too_many_requests"), 429),
    **dict.fromkeys(("file_too_large", "request_too_large"), 413),
    "storage_unavailable": 503,
}


class Problem(Exception):
    """An answer that is not a service's refusal, with its status."""

    def __init__(self, status: int, code: str, message: str, *, field: str = "") -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.field = status, code, message, field


def answer(error: Exception, context: Mapping[str, Any]) -> Response:
    """Translate whatever a view raised (REST_FRAMEWORK's EXCEPTION_HANDLER)."""
    match error:
        case Problem():
            return _answer(error.status, error.code, error.message, error.field)
        case Refusal():
            return _of_service(error)
        case exceptions.ValidationError():
            field, detail = _first(error.detail)
            return _answer(REFUSED, getattr(detail, "code", "invalid"), str(detail), field)
        case exceptions.APIException():
            return _of_framework(error)
        case Http404():
            return _answer(404, "not_found", _("There is nothing under this address, or it is not yours."))
    log.error("%s", context["request"].path, exc_info=error)
    return _of_trouble(error)


def _of_trouble(error: Exception) -> Response:
    if not isinstance(error, OperationalError | InterfaceError | RedisError):
        return _answer(500, "internal_error", _("Something went wrong on our side; it is logged. Ask again later."))
    response = _answer(503, "unavailable", _("The platform does not reach its database. Ask again in a moment."))
    response["Retry-After"] = str(AGAIN_AFTER)
    return response


def _of_service(refusal: Refusal) -> Response:
    response = _answer(STATUSES.get(refusal.code, REFUSED), refusal.code, refusal.message, refusal.field)
    if isinstance(refusal, QuotaSpent):
        wait = (refusal.resets_at - timezone.now()).total_seconds()
        response["Retry-After"] = str(max(math.ceil(wait), 1))
    return response


def _of_framework(error: exceptions.APIException) -> Response:
    codes = error.get_codes()
    code = {
        "error": "not_allowed",
        "authentication_failed": "not_authenticated",
        "permission_denied": "not_allowed",
    }.get(str(codes), str(codes))
    message = str(error.detail)
    response = _answer(error.status_code, code, message)
    if header := getattr(error, "auth_header", None):
        response["WWW-Authenticate"] = header
    if wait := getattr(error, "wait", None):
        response["Retry-After"] = str(math.ceil(wait))
    return response


def _first(detail: Any, path: str = "") -> tuple[str, Any]:
    """Return where the first mistake is, and what it is."""
    if isinstance(detail, Mapping):
        name, inner = next(iter(detail.items()))
        is_whole = name == "non_field_errors"
        step = f"[{name}]" if isinstance(name, int) else f"{'.' if path else ''}{name}"
        return _first(inner, path if is_whole else f"{path}{step}")
    if isinstance(detail, Sequence) and not isinstance(detail, str):
        # A list holds the mistakes of one value, or for each of several values what is wrong with it, if anything.
        at = next(number for number, inner in enumerate(detail) if inner)
        return _first(detail[at], path if isinstance(detail[at], str) else f"{path}[{at}]")
    return path, detail


def _answer(status: int, code: str, message: str, field: str = "") -> Response:
    return Response(_body(code, message, field), status=status)


def _body(code: str, message: str, field: str = "") -> dict[str, str]:
    return {"code": code, "message": message, "field": field}


@csrf_exempt
def nothing_here(_request: HttpRequest, **_arguments: Any) -> JsonResponse:
    """Answer for every address below `/api/` that is none."""
    return JsonResponse(_body("not_found", _("There is no such address. See the list at /api/v1/docs/.")), status=404)
