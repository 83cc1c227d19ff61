"""The description of the API for programs (`/api/v1/schema/`), and as a page for people (`/api/v1/docs/`)."""

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_safe
from drf_spectacular.views import SpectacularJSONAPIView

schema = SpectacularJSONAPIView.as_view()


@require_safe
def page(request: HttpRequest) -> HttpResponse:
    return render(request, "accounts/api_docs.html")
