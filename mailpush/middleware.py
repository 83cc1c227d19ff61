"""Doors before all others: calls of programs and clicks in mails need nothing of what pages need."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import Resolver404, resolve
from django.utils import translation

from accounts.api.errors import nothing_here
from sending.views import tracking

TRACKING = "/t/"
PREFIX = "/api/v1/"
PAGES = (f"{PREFIX}docs/",)  # is for people
URLS = "mailpush.api_urls"


class TrackingDoorMiddleware:
    """Answers tracked links and pixels under whatever name; all that stands behind it wants one of ours."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(TRACKING):
            return self.get_response(request)
        with translation.override(translation.get_language_from_request(request)):
            try:
                match = resolve(request.path_info)
            except Resolver404:
                return tracking.unknown(request)
            response: HttpResponse = match.func(request, *match.args, **match.kwargs)
            return response


class ApiDoorMiddleware:
    """Answers calls before sessions, cookies and messages are looked for: a third of the time of a call."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path_info.startswith(PREFIX) or request.path_info.startswith(PAGES):
            return self.get_response(request)
        request.get_host()  # refuses names that are not ours
        with translation.override(translation.get_language_from_request(request)):
            response = self.answer(request)
            response.headers.setdefault("Content-Language", translation.get_language())
        return response

    def answer(self, request: HttpRequest) -> HttpResponse:
        try:
            match = resolve(request.path_info[len(PREFIX) - 1 :], URLS)
        except Resolver404:
            return nothing_here(request)
        response: Any = match.func(request, *match.args, **match.kwargs)
        answer: HttpResponse = response.render() if hasattr(response, "render") else response
        return answer
