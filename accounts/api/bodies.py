"""Bodies as JSON, bounded, and of the shape that a call has."""

import json
from collections.abc import Mapping
from io import BytesIO
from typing import Any, NoReturn

from django.utils.translation import gettext as _
from rest_framework.exceptions import ParseError
from rest_framework.parsers import BaseParser
from rest_framework.request import Request

from accounts.api.errors import Problem
from accounts.api.fields import Shape

BODY_BYTES = 32 * 1024 * 1024  # attachments of 15 MB in base64, with bodies of 1 MB and a thousand recipients


class Json(BaseParser):
    media_type = "application/json"

    def parse(self, stream: Any, media_type: str | None = None, parser_context: Mapping[str, Any] | None = None) -> Any:  # noqa: ARG002 - DRF's signature
        assert parser_context
        try:
            return json.loads(raw_body(parser_context["request"]), parse_constant=_refuse)
        except (ValueError, RecursionError) as error:
            raise ParseError(_("The body is not JSON: %(why)s") % {"why": error}, code="malformed_json") from error


def wanted(shape: type[Shape], request: Request) -> dict[str, Any]:
    """Return what the body says is wanted."""
    wanted = shape(data=request.data)
    wanted.is_valid(raise_exception=True)
    return dict(wanted.validated_data)


def raw_body(request: Request) -> bytes:
    """Return the body as it came. Django's own `body` has the limit of our pages' forms."""
    asked: Any = request._request  # noqa: SLF001 - DRF has no word for the request it wraps
    if not hasattr(asked, "_body"):
        asked._body = asked.read(BODY_BYTES + 1)  # noqa: SLF001
        asked._stream = BytesIO(asked._body)  # noqa: SLF001
    if len(asked._body) > BODY_BYTES:  # noqa: SLF001
        raise too_large()
    return bytes(asked._body)  # noqa: SLF001


def must_be_of_size(request: Request) -> None:
    """Refuse by what the request says of itself, before anything is read."""
    length = request.META.get("CONTENT_LENGTH") or "0"
    if length.isdecimal() and int(length) > BODY_BYTES:
        raise too_large()


def too_large() -> Problem:
    return Problem(
        413,
        "request_too_large",
        _("The request is larger than %(most)d MB. Split it.") % {"most": BODY_BYTES // 2**20},
    )


def _refuse(name: str) -> NoReturn:
    raise ValueError(f"{name} is no JSON number")
