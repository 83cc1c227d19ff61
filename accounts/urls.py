"""Addresses of the account's own pages, below `/console/`."""

app_name = "accounts"
urlpatterns: list[object] = []
