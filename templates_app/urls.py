"""Pages of templates, below /console/."""

from django.urls import path

from templates_app import views
from templates_app.api import templates as templates_api

app_name = "templates_app"
urlpatterns = [
    path("templates/", views.index, name="index"),
    path("templates/new/", views.create, name="create"),
    path("templates/<int:pk>/", views.detail, name="detail"),
    path("templates/<int:pk>/edit/", views.edit, name="edit"),
    path("templates/<int:pk>/copy/", views.copy, name="copy"),
    path("templates/<int:pk>/preview/", views.preview, name="preview"),
    path("templates/<int:pk>/approved/", views.preview_approved, name="preview-approved"),
    path("templates/<int:pk>/submit/", views.submit, name="submit"),
    path("templates/<int:pk>/withdraw/", views.withdraw, name="withdraw"),
    path("templates/<int:pk>/delete/", views.delete, name="delete"),
]

api_urls = [
    path("templates", templates_api.Templates.as_view()),
    path("templates/<id:pk>", templates_api.TemplateView.as_view()),
    path("templates/<id:pk>/submit", templates_api.TemplateSubmit.as_view()),
    path("templates/<id:pk>/withdraw", templates_api.TemplateWithdraw.as_view()),
]
