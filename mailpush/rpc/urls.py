"""Pages about the API; the API itself is at `/` (mailpush.rpc.middleware)."""

from django.urls import path

from mailpush.rpc import views

app_name = "rpc"
urlpatterns = [
    path("address-files/<str:token>.csv", views.address_file, name="address-file"),
    path("signature-checker/", views.signature_checker, name="signature-checker"),
]
