"""Addresses of the sender and tag pages, below `/console/`."""

from django.urls import path

from senders.api import senders as senders_api
from senders.api import tags as tags_api
from senders.views import config_sets, reply_addresses, senders, tags

app_name = "senders"
urlpatterns = [
    path("senders/", senders.index, name="index"),
    path("senders/new/", senders.create, name="create"),
    path("senders/<int:pk>/", senders.detail, name="detail"),
    path("senders/<int:pk>/delete/", senders.delete, name="delete"),
    path("senders/<int:pk>/reply/", senders.change_reply_address, name="reply-change"),
    path("senders/<int:pk>/reply/resend/", senders.resend_link, name="reply-resend"),
    path("senders/<int:pk>/answers/", senders.change_answers, name="answers-change"),
    path("senders/<int:pk>/crash/", senders.change_crash_policy, name="crash-change"),
    path("senders/<int:pk>/smtp/", senders.set_password, name="password-set"),
    path("senders/<int:pk>/smtp/generate/", senders.generate_password, name="password-generate"),
    path("senders/<int:pk>/smtp/close/", senders.close_smtp, name="smtp-close"),
    path("senders/reply/<str:token>/", reply_addresses.confirm, name="reply-confirm"),
    path("config-sets/", config_sets.index, name="config-sets"),
    path("config-sets/new/", config_sets.create, name="config-set-create"),
    path("config-sets/<int:pk>/", config_sets.detail, name="config-set"),
    path("config-sets/<int:pk>/delete/", config_sets.delete, name="config-set-delete"),
    path("config-sets/<int:pk>/senders/", config_sets.add_sender, name="config-set-sender-add"),
    path("config-sets/<int:pk>/senders/<int:sender_pk>/", config_sets.take_out, name="config-set-sender-take-out"),
    path("tags/", tags.index, name="tags"),
    path("tags/new/", tags.create, name="tag-create"),
    path("tags/<int:pk>/rename/", tags.rename, name="tag-rename"),
    path("tags/<int:pk>/delete/", tags.delete, name="tag-delete"),
]

api_urls = [
    path("senders", senders_api.Senders.as_view()),
    path("senders/<id:pk>", senders_api.SenderView.as_view()),
    path("senders/<id:pk>/smtp-password", senders_api.SenderSmtp.as_view()),
    path("tags", tags_api.Tags.as_view()),
    path("tags/<id:pk>", tags_api.TagView.as_view()),
]
