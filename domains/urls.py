"""Addresses of the domain pages, below `/console/`."""

from django.urls import path

from domains import views
from domains.api import domains as domains_api

app_name = "domains"
urlpatterns = [
    path("domains/", views.index, name="index"),
    path("domains/new/", views.create, name="create"),
    path("domains/<int:pk>/", views.detail, name="detail"),
    path("domains/<int:pk>/records/", views.records, name="records"),
    path("domains/<int:pk>/verify/", views.verify, name="verify"),
    path("domains/<int:pk>/delete/", views.delete, name="delete"),
]

api_urls = [
    path("domains", domains_api.Domains.as_view()),
    path("domains/<id:pk>", domains_api.DomainView.as_view()),
    path("domains/<id:pk>/verify", domains_api.DomainVerify.as_view()),
]
