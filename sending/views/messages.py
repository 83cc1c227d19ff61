"""Messages: found by recipient, each with its attempts and as its reader sees it."""

from copy import copy
from dataclasses import dataclass
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import cached_property

from django.http import Http404, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from accounts.http import AccountRequest, member_required, reporting
from accounts.models import Permission
from domains.models import DkimKey
from recipients.http import sliced
from sending import reports
from sending.delivery.composing import ContentComposer
from sending.delivery.parcels import QueuedMessage
from sending.http import FRAME_HEADERS, sliced_by_recipient
from sending.models import Message
from sending.services import calling_off

LONGEST_SHOWN = 200_000  # characters of a text or source on the page; the download has all


@require_GET
@member_required()
def index(request: AccountRequest) -> HttpResponse:
    """Show the messages to an address, or the latest that belong to no batch."""
    query = request.GET.get("q", "").strip()
    rows = Message.objects.for_account(request.account).select_related("content__sender", "batch")
    if query:
        found = sliced_by_recipient(request, rows.to_recipients(query))
    else:
        found = sliced(request, rows.filter(batch=None), place="id", descending=True)
    return render(request, "sending/messages.html", {"query": query, "slice": found})


@require_GET
@member_required()
def detail(request: AccountRequest, pk: int) -> HttpResponse:
    message = _message(request, pk)
    events = list(reports.events_of(message))
    return render(
        request,
        "sending/message.html",
        {
            "message": message,
            "may_call_off": message.is_waiting and not message.batch_id and request.actor.may(Permission.WORK),
            "mail": _composed(message),
            "wait": reports.wait_of(message, now=timezone.now()),
            "events": [event for event in events if not event.reader],
            "readings": [event for event in events if event.reader],
            "feedback": reports.feedback_of(message),
            "returned": reports.returned_of(message),
            "failures": reports.FAILURES,
        },
    )


@require_POST
@member_required(Permission.WORK)
def call_off(request: AccountRequest, pk: int) -> HttpResponse:
    message = _message(request, pk)
    with reporting(request, _("The message is called off. It is never sent.")):
        calling_off.call_off(message, by=request.actor, now=timezone.now())
    return redirect("sending:message", pk)


@require_GET
@member_required()
def html(request: AccountRequest, pk: int) -> HttpResponse:
    """Show the HTML part alone, for the sandboxed frame."""
    mail = _composed(_message(request, pk))
    if mail is None:
        raise Http404
    return HttpResponse(mail.html, headers=FRAME_HEADERS)


@require_GET
@member_required()
def source(request: AccountRequest, pk: int) -> HttpResponse:
    """Send the mail as a file that mail programs open."""
    mail = _composed(_message(request, pk))
    if mail is None:
        raise Http404
    return HttpResponse(
        mail.source,
        content_type="message/rfc822",
        headers={"Content-Disposition": f'attachment; filename="message-{pk}.eml"'},
    )


def _message(request: AccountRequest, pk: int) -> Message:
    rows = Message.objects.for_account(request.account).select_related(
        "batch", "content__tag", "content__sender__domain"
    )
    return get_object_or_404(rows, pk=pk)


@dataclass(frozen=True)
class ComposedMail:
    """A mail put together anew, as its recipient gets it."""

    source: bytes

    @cached_property
    def _parsed(self) -> EmailMessage:
        return message_from_bytes(self.source, policy=policy.default)

    @property
    def subject(self) -> str:
        return str(self._parsed["Subject"] or "")

    @property
    def author(self) -> str:
        return str(self._parsed["From"] or "")

    @property
    def reply_to(self) -> str:
        return str(self._parsed["Reply-To"] or "")

    @cached_property
    def text(self) -> str:
        return self._body("plain")

    @cached_property
    def html(self) -> str:
        return self._body("html")

    @property
    def shown_text(self) -> str:
        return self.text[:LONGEST_SHOWN]

    @property
    def shown_source(self) -> str:
        return self.source[:LONGEST_SHOWN].decode("utf-8", "replace")

    def _body(self, kind: str) -> str:
        part = self._parsed.get_body(preferencelist=(kind,))
        if part is None:
            return ""
        content = part.get_payload(decode=True)
        charset = part.get_content_charset("utf-8")
        assert isinstance(content, bytes)  # a part without parts
        try:
            return content.decode(charset, "replace")
        except LookupError:  # a charset that nobody knows
            return content.decode("latin-1")


def _composed(message: Message) -> ComposedMail | None:
    """Return the mail, untracked: whoever looks at it here is not its reader.

    :returns: None where its domain's key or its submitted text is gone.
    """
    content = copy(message.content)
    content.is_tracked = False
    try:
        composer = ContentComposer(content)
    except (DkimKey.DoesNotExist, FileNotFoundError):
        return None
    return ComposedMail(composer.compose([QueuedMessage.of(message)], now=timezone.now())[0].whole)
