"""Addresses of the account's own pages, below `/console/`."""

from django.urls import path

from accounts.api import account as account_api
from accounts.views import access_keys, audit, invitations, ip_protection, members, profile, settings

app_name = "accounts"
urlpatterns = [
    path("account/", settings.settings, name="settings"),
    path("account/none/", settings.none, name="none"),
    path("account/switch/", settings.switch, name="switch"),
    path("account/profile/", profile.profile, name="profile"),
    path("account/members/", members.index, name="members"),
    path("account/members/leave/", members.leave, name="member-leave"),
    path("account/members/<int:pk>/role/", members.change_role, name="member-change-role"),
    path("account/members/<int:pk>/remove/", members.remove, name="member-remove"),
    path("account/invitations/<int:pk>/cancel/", members.cancel_invitation, name="invitation-cancel"),
    path("account/invitations/<str:token>/", invitations.invitation, name="invitation"),
    path("account/access-keys/", access_keys.index, name="access-keys"),
    path("account/access-keys/<int:pk>/", access_keys.restrict, name="access-key"),
    path("account/access-keys/<int:pk>/enable/", access_keys.enable, name="access-key-enable"),
    path("account/access-keys/<int:pk>/disable/", access_keys.disable, name="access-key-disable"),
    path("account/access-keys/<int:pk>/delete/", access_keys.delete, name="access-key-delete"),
    path("account/ip-protection/", ip_protection.index, name="ip-protection"),
    path("account/ip-protection/allow/", ip_protection.allow, name="ip-protection-allow"),
    path("account/ip-protection/switch/", ip_protection.switch, name="ip-protection-switch"),
    path("account/ip-protection/<int:pk>/remove/", ip_protection.remove, name="ip-protection-remove"),
    path("account/audit/", audit.index, name="audit-log"),
]

api_urls = [
    path("account", account_api.AccountView.as_view()),
]
