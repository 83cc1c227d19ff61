"""Pages of the recipients app, below console/."""

from django.urls import path

from recipients.api import imports as imports_api
from recipients.api import lists as lists_api
from recipients.api import suppressions as suppressions_api
from recipients.views import imports, lists, recipients, suppressions

app_name = "recipients"

urlpatterns = [
    path("lists/", lists.index, name="index"),
    path("lists/new/", lists.create, name="list-create"),
    path("lists/sample.csv", imports.sample, name="sample"),
    path("lists/<int:pk>/", lists.detail, name="list"),
    path("lists/<int:pk>/edit/", lists.edit, name="list-edit"),
    path("lists/<int:pk>/delete/", lists.delete, name="list-delete"),
    path("lists/<int:pk>/upload/", imports.upload, name="list-upload"),
    path("lists/<int:pk>/imports/", imports.progress, name="list-imports"),
    path("lists/imports/<int:pk>/rejects.csv", imports.rejects, name="import-rejects"),
    path("lists/<int:pk>/recipients/new/", recipients.add, name="recipient-add"),
    path("lists/<int:pk>/recipients/delete/", recipients.delete, name="recipients-delete"),
    path("lists/<int:pk>/recipients/delete-invalid/", recipients.delete_invalid, name="recipients-delete-invalid"),
    path("lists/<int:pk>/recipients/<int:recipient_pk>/", recipients.edit, name="recipient-edit"),
    path("suppressions/", suppressions.index, name="suppressions"),
    path("suppressions/new/", suppressions.add, name="suppression-add"),
    path("suppressions/upload/", suppressions.upload, name="suppressions-upload"),
    path("suppressions/export.csv", suppressions.export, name="suppressions-export"),
    path("suppressions/<int:pk>/remove/", suppressions.remove, name="suppression-remove"),
]

api_urls = [
    path("lists", lists_api.Lists.as_view()),
    path("lists/<id:pk>", lists_api.ListView.as_view()),
    path("lists/<id:pk>/recipients", lists_api.Recipients.as_view()),
    path("lists/<id:pk>/recipients/<id:recipient_pk>", lists_api.RecipientView.as_view()),
    path("lists/<id:pk>/imports", imports_api.Uploads.as_view()),
    path("imports/<id:pk>", imports_api.ImportView.as_view()),
    path("imports/<id:pk>/rejected", imports_api.ImportRejects.as_view()),
    path("suppressions", suppressions_api.Suppressions.as_view()),
    path("suppressions/<id:pk>", suppressions_api.SuppressionView.as_view()),
]
