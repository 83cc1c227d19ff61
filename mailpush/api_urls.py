"""Every address of the REST API, below `/api/v1/`."""

from django.urls import include, path

from accounts.api import docs
from sending.urls import api_urls as sending

urlpatterns = [
    path("schema/", docs.schema, name="api-schema"),
    path("", include(sending)),
]
