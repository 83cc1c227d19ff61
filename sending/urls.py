"""Addresses of the console pages, of the REST API, of tracked links, and of unsubscribe links."""

from django.urls import path

from sending.api import batches as batches_api
from sending.api import messages as messages_api
from sending.api import webhooks as webhooks_api
from sending.views import batches, messages, orders, returned, tracking, unsubscribing, webhooks

app_name = "sending"
urlpatterns = [
    path("batches/", batches.index, name="batches"),
    path("batches/new/", orders.create, name="batch-create"),
    path("batches/order/", orders.order, name="batch-order"),
    path("batches/preview/<int:template_pk>/", orders.preview, name="batch-preview"),
    path("batches/<int:pk>/", batches.detail, name="batch"),
    path("batches/<int:pk>/progress/", batches.progress, name="batch-progress"),
    path("batches/<int:pk>/waiting/", batches.waiting, name="batch-waiting"),
    path("batches/<int:pk>/pause/", batches.pause, name="batch-pause"),
    path("batches/<int:pk>/resume/", batches.resume, name="batch-resume"),
    path("batches/<int:pk>/cancel/", batches.cancel, name="batch-cancel"),
    path("batches/<int:pk>/rest/", batches.send_to_rest, name="batch-send-rest"),
    path("batches/<int:pk>/unknown/", batches.send_unknown_again, name="batch-send-unknown"),
    path("batches/<int:pk>/messages.csv", batches.export, name="batch-export"),
    path("messages/", messages.index, name="messages"),
    path("messages/<int:pk>/", messages.detail, name="message"),
    path("messages/<int:pk>/call-off/", messages.call_off, name="message-call-off"),
    path("messages/<int:pk>/html/", messages.html, name="message-html"),
    path("messages/<int:pk>/source.eml", messages.source, name="message-source"),
    path("webhooks/", webhooks.index, name="webhooks"),
    path("webhooks/<int:pk>/", webhooks.detail, name="webhook"),
    path("webhooks/<int:pk>/secret/", webhooks.renew_secret, name="webhook-renew-secret"),
    path("webhooks/<int:pk>/pause/", webhooks.pause, name="webhook-pause"),
    path("webhooks/<int:pk>/resume/", webhooks.resume, name="webhook-resume"),
    path("webhooks/<int:pk>/test/", webhooks.try_out, name="webhook-try-out"),
    path("webhooks/<int:pk>/delete/", webhooks.delete, name="webhook-delete"),
    path("webhooks/calls/<int:pk>/", webhooks.call, name="webhook-call"),
    path("webhooks/calls/<int:pk>/again/", webhooks.send_again, name="webhook-send-again"),
    path("returned/", returned.index, name="returned"),
    path("returned/<int:pk>/", returned.detail, name="returned-mail"),
    path("returned/<int:pk>/mail.eml", returned.source, name="returned-source"),
]

# For include(), with the names `unsubscribe:…`: `path("u/", include(unsubscribe_urls))`.
unsubscribe_urls = ([path("<str:token>", unsubscribing.page, name="page")], "unsubscribe")

# The same with `tracking:…`.
tracking_urls = (
    [
        path("", tracking.may_have_certificate, name="certificate"),
        path("<str:token>.gif", tracking.pixel, name="pixel"),
        path("<str:token>/<str:sealed>", tracking.link, name="link"),
    ],
    "tracking",
)

api_urls = [
    path("messages", messages_api.Messages.as_view()),
    path("messages/<id:pk>", messages_api.MessageView.as_view()),
    path("messages/<id:pk>/cancel", messages_api.MessageCancel.as_view()),
    path("batches", batches_api.Batches.as_view()),
    path("batches/<id:pk>", batches_api.BatchView.as_view()),
    path("batches/<id:pk>/pause", batches_api.BatchPause.as_view()),
    path("batches/<id:pk>/resume", batches_api.BatchResume.as_view()),
    path("batches/<id:pk>/cancel", batches_api.BatchCancel.as_view()),
    path("batches/<id:pk>/send-unknown", batches_api.BatchSendUnknown.as_view()),
    path("batches/<id:pk>/send-to-rest", batches_api.BatchSendToRest.as_view()),
    path("webhooks", webhooks_api.Webhooks.as_view()),
    path("webhooks/<id:pk>", webhooks_api.WebhookView.as_view()),
    path("webhooks/<id:pk>/secret", webhooks_api.WebhookSecret.as_view()),
    path("webhooks/<id:pk>/pause", webhooks_api.WebhookPause.as_view()),
    path("webhooks/<id:pk>/resume", webhooks_api.WebhookResume.as_view()),
    path("webhooks/<id:pk>/test", webhooks_api.WebhookTryOut.as_view()),
    path("webhooks/<id:pk>/calls", webhooks_api.WebhookCalls.as_view()),
    path("webhooks/<id:pk>/calls/<id:call_pk>", webhooks_api.WebhookCallView.as_view()),
    path("webhooks/<id:pk>/calls/<id:call_pk>/send-again", webhooks_api.WebhookCallAgain.as_view()),
]
