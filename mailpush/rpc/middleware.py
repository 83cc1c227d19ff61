"""The API's door stands before all others: its calls have neither session, cookies, language nor CSRF token."""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse

from mailpush.rpc import door, uploads, wire


class RpcDoorMiddleware:
    """Answer calls to `/`; let everything else pass."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if request.path_info == "/" and uploads.is_upload(request) and not wire.is_marked(request):
            return uploads.receive(request)
        if request.path_info == "/" and wire.is_call(request):
            return door.answer(request)
        if "HTTP_X_ACS_ACTION" in request.META:  # whoever sends this can read no page
            return door.not_here(request)
        return self.get_response(request)
