"""Every address of the REST API, below `/api/v1/`."""

from django.urls import include, path

from accounts.api import docs
from accounts.urls import api_urls as accounts
from domains.urls import api_urls as domains
from recipients.urls import api_urls as recipients
from senders.urls import api_urls as senders
from sending.urls import api_urls as sending
from stats.urls import api_urls as stats
from templates_app.urls import api_urls as templates

urlpatterns = [
    path("schema/", docs.schema, name="api-schema"),
    *(path("", include(urls)) for urls in (accounts, domains, senders, recipients, templates, sending, stats)),
]
