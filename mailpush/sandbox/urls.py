"""Pages of the sandbox; local visitors only, before login too."""

from django.urls import path

from mailpush.sandbox import views

app_name = "sandbox"
urlpatterns = [
    path("", views.inbox, name="inbox"),
    path("<int:pk>/", views.mail, name="mail"),
    path("<int:pk>/html", views.mail_html, name="mail-html"),
    path("<int:pk>/source", views.mail_source, name="mail-source"),
    path("dns/", views.zone, name="zone"),
    path("dns/publish", views.record_publish, name="record-publish"),
    path("publish/<int:domain_pk>/", views.domain_publish, name="publish-domain"),
    path("dns/withdraw", views.record_withdraw, name="record-withdraw"),
]
