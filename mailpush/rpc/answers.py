"""Answers as DirectMail writes them: a flat object with a RequestId, in JSON or XML, errors alike."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4
from xml.sax.saxutils import escape

from django.conf import settings
from django.http import HttpResponse
from django.urls import reverse

from mailpush.rpc.errors import ApiError

JSON, XML = "application/json;charset=utf-8", "text/xml;charset=utf-8"
# What XML 1.0 cannot carry, however it is written.
NOT_IN_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def new_request_id() -> str:
    return str(uuid4()).upper()


def success(action: str, fields: Mapping[str, Any], *, request_id: str, as_xml: bool) -> HttpResponse:
    body = {"RequestId": request_id, **fields}
    text = xml_of(f"{action}Response", body) if as_xml else _json(body)
    return _response(text, request_id=request_id, as_xml=as_xml)


def failure(error: ApiError, *, request_id: str, host: str, as_xml: bool) -> HttpResponse:
    body = {
        "RequestId": request_id,
        "HostId": host,
        "Code": error.code,
        "Message": error.message,
        "Recommend": _recommended(error, request_id),
    }
    text = xml_of("Error", body) if as_xml else _json(body)
    response = _response(text, request_id=request_id, as_xml=as_xml, status=error.status)
    # A refusal is the caller's to read; Django would write a line into our log for each.
    response._has_been_logged = True  # type: ignore[attr-defined]  # noqa: SLF001
    if error.retry_after is not None:
        response["x-acs-retry-after"] = str(error.retry_after)
    return response


def _response(text: str, *, request_id: str, as_xml: bool, status: int = 200) -> HttpResponse:
    body = text.encode()
    return HttpResponse(
        body,
        status=status,
        content_type=XML if as_xml else JSON,
        headers={"Content-Length": str(len(body)), "x-acs-request-id": request_id, "Cache-Control": "no-store"},
    )


def _recommended(error: ApiError, request_id: str) -> str:
    """Return where to look: for signatures, the page that shows where a request differs."""
    query = urlencode({"code": error.code, "request": request_id})
    return f"{settings.MAILPUSH_PUBLIC_URL}{reverse('rpc:signature-checker')}?{query}"


def _json(body: Mapping[str, Any]) -> str:
    return json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def xml_of(root: str, body: Mapping[str, Any]) -> str:
    """Return an XML document."""
    return f"<?xml version='1.0' encoding='UTF-8'?>{''.join(_element(root, body))}"


def _element(name: str, value: Any) -> Iterator[str]:
    """Write a list as an element for each of its members, as DirectMail does."""
    if isinstance(value, list):
        for each in value:
            yield from _element(name, each)
        return
    yield f"<{name}>"
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _element(key, inner)
    elif value is not None:
        text = str(value).lower() if isinstance(value, bool) else str(value)
        yield escape(NOT_IN_XML.sub("", text))
    yield f"</{name}>"
