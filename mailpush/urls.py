"""Every address the web process answers (an explicit table, so that grep finds them).

| below           | is                                                        |
|-----------------|-----------------------------------------------------------|
| `/`             | redirect to the console; the DirectMail-compatible API    |
| `/console/…`    | pages of the apps, one module each                        |
| `/api/v1/…`     | REST API, its description and its docs                    |
| `/t/…`          | tracked links and pixels                                  |
| `/u/…`          | unsubscribe links                                         |
| `/accounts/…`   | sign-up, login, second factor                             |
| `/admin/…`      | review desk and operations                                |
| `/healthz` …    | probes and metrics for operators                          |
"""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from django.views.i18n import JavaScriptCatalog

from accounts.api import docs
from accounts.api.errors import nothing_here
from accounts.views.profile import set_language
from mailpush import views
from sending.urls import tracking_urls, unsubscribe_urls

urlpatterns = [
    path("", RedirectView.as_view(url="/console/"), name="home"),
    path("accounts/", include("allauth.urls")),
    path("admin/", admin.site.urls),
    path("console/sandbox/", include("mailpush.sandbox.urls")),
    path("console/api/", include("mailpush.rpc.urls")),
    path("console/", include("domains.urls")),
    path("console/", include("senders.urls")),
    path("console/", include("recipients.urls")),
    path("console/", include("templates_app.urls")),
    path("console/", include("sending.urls")),
    path("t/", include(tracking_urls)),  # answered by TrackingDoorMiddleware
    path("u/", include(unsubscribe_urls)),
    path("console/", include("stats.urls")),
    path("console/", include("accounts.urls")),
    path("api/v1/docs/", docs.page, name="api-docs"),
    path("api/v1/", include("mailpush.api_urls")),  # answered by ApiDoorMiddleware; here for its description
    re_path("^api/", nothing_here),
    path("i18n/setlang/", set_language, name="set_language"),
    path("jsi18n/", JavaScriptCatalog.as_view(), name="javascript-catalog"),
    path("healthz", views.health, name="health"),
    path("readyz", views.readiness, name="readiness"),
    path("metrics", views.metrics, name="metrics"),
]

handler500 = views.trouble
